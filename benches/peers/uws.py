"""A room on uWebSockets: what anybody says goes to everybody, the speaker included."""

import sys

from socketify import App, OpCode

app = App()


def on_open(ws):
    ws.subscribe("bench")


def on_message(ws, message, opcode):
    app.publish("bench", message, opcode)


app.ws(
    "/room/bench/",
    {
        "open": on_open,
        "message": on_message,
        "max_backpressure": 64 * 1024 * 1024,
        "idle_timeout": 0,
    },
)
app.listen(int(sys.argv[1]))
app.run()
