"""A WebSocket client on the package websockets: python websocket.py URL WINDOW_BITS, the latter for both sides.

The first line on standard output is {"agreed": EXTENSIONS}, the extensions of the server's answer. Then each message that comes
is a line, {"text": TEXT} or {"binary": BASE64}, and each such line on standard input is sent. It ends with its input or with the
connection.
"""

import base64
import json
import sys
import threading

from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect


def send_lines(socket):
    for line in sys.stdin:
        message = json.loads(line)
        socket.send(message["text"] if "text" in message else base64.b64decode(message["binary"]))
    socket.close()


def tell(**line):
    print(json.dumps(line), flush=True)


bits = int(sys.argv[2])
deflate = ClientPerMessageDeflateFactory(server_max_window_bits=bits, client_max_window_bits=bits)
with connect(sys.argv[1], extensions=[deflate], compression=None, max_size=None, proxy=None) as socket:
    tell(agreed=socket.response.headers.get("Sec-WebSocket-Extensions"))
    threading.Thread(target=send_lines, args=[socket], daemon=True).start()
    for message in socket:
        if isinstance(message, str):
            tell(text=message)
        else:
            tell(binary=base64.b64encode(message).decode())
