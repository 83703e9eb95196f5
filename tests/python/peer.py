"""A Python process with real channels_redis layers, driven by JSON lines.

Each line on standard input is a command, {"id": N, "do": NAME, "layer": N, ...}, and gets one line on standard output with
its id and "ok" or "error". Commands are carried out in the order in which they come, each to its end, so that a test knows who
sent what before what. {"do": "listen"} begins to read a channel, for ever: each message becomes a line {"layer": N, "channel":
NAME, "message": {...}}, and what goes wrong meanwhile a line with "trouble".

Bytes are {"$bytes": BASE64}, for JSON has none.
"""

import asyncio
import base64
import json
import logging
import sys
import time

from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

BACKENDS = {
    "channels_redis.core": RedisChannelLayer,
    "channels_redis.pubsub": RedisPubSubChannelLayer,
}
# Of a line in bytes: a message of 1 MB whose every byte is escaped fits.
LONGEST = 16 * 1024 * 1024


def from_json(value):
    if isinstance(value, dict):
        if value.keys() == {"$bytes"}:
            return base64.b64decode(value["$bytes"])
        return {key: from_json(item) for key, item in value.items()}
    return [from_json(item) for item in value] if isinstance(value, list) else value


def to_json(value):
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    return [to_json(item) for item in value] if isinstance(value, list) else value


def say(line):
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
    sys.stdout.flush()


class Peer:
    def __init__(self):
        self.layers = []
        # The listeners: the event loop itself does not keep its tasks.
        self.tasks = []

    async def do_open(self, _, backend, options):
        self.layers.append(BACKENDS[backend](**options))
        return len(self.layers) - 1

    async def do_clock(self, _, ahead):
        """From now on this process believes it is so many seconds later than it is."""
        truth = time.time
        time.time = lambda: truth() + ahead

    async def do_new_channel(self, layer, well_hashed):
        """With several hosts the core layer sends to most specific channels at one and listens at another: it hashes the whole
        name to send, and what comes before the local part to listen. A well hashed name is free of that."""
        while True:
            channel = await layer.new_channel()
            if (
                not well_hashed
                or isinstance(layer, RedisPubSubChannelLayer)
                or layer.consistent_hash(channel) == layer.consistent_hash(layer.non_local_name(channel))
            ):
                await self.subscribed(layer)
                return channel

    async def do_group_add(self, layer, group, channel):
        await layer.group_add(group, channel)
        await self.subscribed(layer)

    async def do_group_discard(self, layer, group, channel):
        await layer.group_discard(group, channel)
        await self.subscribed(layer)

    async def subscribed(self, layer):
        """The pubsub layer does not wait until Redis has subscribed it. When Redis answers a question that was asked later it
        has."""
        if isinstance(layer, RedisPubSubChannelLayer):
            for shard in layer._shards:
                if shard._redis is not None:
                    await shard._redis.ping()

    async def do_send(self, layer, channel, messages):
        for message in messages:
            await layer.send(channel, from_json(message))

    async def do_group_send(self, layer, group, messages):
        for message in messages:
            await layer.group_send(group, from_json(message))

    async def do_receive(self, layer, channel, count):
        return [to_json(await layer.receive(channel)) for _ in range(count)]

    async def do_flush(self, layer):
        await layer.flush()

    async def do_listen(self, layer, channel):
        self.tasks.append(asyncio.create_task(self.listen(layer, channel)))

    async def listen(self, layer, channel):
        number = self.layers.index(layer)
        while True:
            try:
                message = await layer.receive(channel)
            except Exception as error:
                say({"layer": number, "channel": channel, "trouble": repr(error)})
                # Redis is gone, perhaps: not at once again, for the log's sake.
                await asyncio.sleep(0.1)
            else:
                say({"layer": number, "channel": channel, "message": to_json(message)})

    async def do_bench(self, layer, count, message, channel=None, group=None):
        """Sends a message so many times, one after the other; the seconds that it took."""
        message = from_json(message)
        began = time.perf_counter()
        for _ in range(count):
            if group is not None:
                await layer.group_send(group, message)
            else:
                await layer.send(channel, message)
        return time.perf_counter() - began

    async def answer(self, id, do, layer=None, **arguments):
        try:
            layer = None if layer is None else self.layers[layer]
            say({"id": id, "ok": await getattr(self, "do_" + do)(layer, **arguments)})
        except Exception as error:
            say({"id": id, "error": repr(error)})

    async def run(self):
        lines = asyncio.StreamReader(limit=LONGEST)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        # The end of the input is the end of the test.
        while line := await lines.readline():
            await self.answer(**json.loads(line))


# On standard error. A message that the layer drops is told at the level INFO.
logging.basicConfig(level=logging.INFO)
asyncio.run(Peer().run())
