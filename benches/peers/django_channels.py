"""A room on Django Channels with the layer in memory: what anybody says goes to everybody, the speaker included. Uvicorn serves
`django_channels:application`."""

import django
from django.conf import settings

settings.configure(CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}})
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter  # noqa: E402


class Room(AsyncWebsocketConsumer):
    groups = ["bench"]

    async def receive(self, text_data):
        await self.channel_layer.group_send("bench", {"type": "chat.message", "message": text_data})

    async def chat_message(self, event):
        await self.send(text_data=event["message"])


application = ProtocolTypeRouter({"websocket": Room.as_asgi()})
