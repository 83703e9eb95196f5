// A room on the package ws: what anybody says goes to everybody, the speaker included. Argument: a port.

import { createRequire } from 'node:module';

// The tests have the package already.
const { WebSocket, WebSocketServer } = createRequire(new URL('../../tests/node/', import.meta.url))('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 1024 });

server.on('connection', (speaker) => {
  speaker.on('message', (data, binary) => {
    for (const member of server.clients) {
      if (member.readyState === WebSocket.OPEN) member.send(data, { binary });
    }
  });
});
