"""A room on uWebSockets: what anybody says goes to everybody, the speaker included. Arguments: a port, and `deflate` for
permessage-deflate with one compressor for all sockets."""

import sys

from socketify import App, CompressOptions

deflate = sys.argv[2:] == ["deflate"]
app = App()


def on_open(ws):
    ws.subscribe("bench")


def on_message(ws, message, opcode):
    app.publish("bench", message, opcode, deflate)


app.ws(
    "/room/bench/",
    {
        "open": on_open,
        "message": on_message,
        "compression": CompressOptions.SHARED_COMPRESSOR if deflate else CompressOptions.DISABLED,
        "max_backpressure": 64 * 1024 * 1024,
        "idle_timeout": 0,
    },
)
app.listen(int(sys.argv[1]))
app.run()
