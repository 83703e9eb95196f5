import json

from django.core.management.base import BaseCommand

from chat.models import Message


class Command(BaseCommand):
    help = "Writes the messages of a room as confab import reads them"

    def add_arguments(self, parser):
        parser.add_argument("room")

    def handle(self, *args, room, **options):
        messages = Message.objects.filter(room=room).select_related("user").order_by("created", "pk")
        for message in messages.iterator():
            user = message.user
            name = user.get_full_name() or user.get_username()
            line = {
                "key": f"django-{message.pk}",
                "from": {"id": f"d{user.pk}", "name": name[:40]},
                "text": message.text,
                "at": message.created.isoformat(),
            }
            if message.text.strip():
                self.stdout.write(json.dumps(line))
