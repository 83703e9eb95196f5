"""Sends data into the group "coins", as a periodic task would: python push.py TEXT."""

import os
import sys

import django
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
django.setup()

channel_layer = get_channel_layer()
async_to_sync(channel_layer.group_send)("coins", {"type": "send_new_data", "text": sys.argv[1]})
