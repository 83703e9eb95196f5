// A WebSocket client on the package ws: node websocket.js URL. It speaks the same lines as tests/python/websocket.py.

import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

// It leaves short messages as they are unless it is told otherwise.
const socket = new WebSocket(process.argv[2], { perMessageDeflate: { threshold: 0 }, maxPayload: 0 });

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

socket.on('upgrade', (response) => tell({ agreed: response.headers['sec-websocket-extensions'] ?? null }));
socket.on('message', (data, isBinary) => tell(isBinary ? { binary: data.toString('base64') } : { text: data.toString() }));
socket.on('close', () => process.exit());
socket.on('open', () => {
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const message = JSON.parse(line);
    socket.send(message.text ?? Buffer.from(message.binary, 'base64'));
  });
  lines.on('close', () => socket.close());
});
