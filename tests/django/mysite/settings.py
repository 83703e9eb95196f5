"""The least that a Channels project needs. Where Redis is comes from the environment: CHANNEL_LAYER is the layer's
configuration as JSON, {"BACKEND": ..., "CONFIG": {"hosts": [...]}}."""

import json
import os

SECRET_KEY = "of a project that only tests run"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["channels", "chat", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = []
ROOT_URLCONF = "mysite.urls"
ASGI_APPLICATION = "mysite.asgi.application"
USE_TZ = True

CHANNEL_LAYERS = {"default": json.loads(os.environ["CHANNEL_LAYER"])}
