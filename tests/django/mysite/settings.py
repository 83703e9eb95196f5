"""A project with what `startproject` gives, and Channels. What a test decides comes from the environment, each as JSON: the layer, the
database, the caches, and further settings by their names."""

import json
import os


def given(name, default):
    return json.loads(os.environ[name]) if name in os.environ else default


SECRET_KEY = "of a project that only tests run"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = [
    "channels",
    "chat",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "mysite.urls"
ASGI_APPLICATION = "mysite.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
USE_TZ = True
# As quick as a test needs it, and as real as the others.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

CHANNEL_LAYERS = {"default": given("CHANNEL_LAYER", {"BACKEND": "channels.layers.InMemoryChannelLayer"})}
DATABASES = {"default": given("DATABASE", {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"})}
CACHES = {"default": given("CACHE", {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"})}
globals().update(given("MORE_SETTINGS", {}))
