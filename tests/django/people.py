"""The people of the project, driven by JSON lines: each line on standard input is a command, {"do": NAME, ...}, and gets one line on
standard output, {"ok": ...} or {"error": ...}. What is done is done by Django, in the project's own database and cache."""

import ast
import base64
import hmac
import importlib
import json
import os
import pickle
import sys

import django
import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import parse_cookie  # noqa: E402
from django.test import Client  # noqa: E402

User = get_user_model()
CLIENTS = {}


def store(cookie):
    return importlib.import_module(settings.SESSION_ENGINE).SessionStore(cookie)


def migrate():
    call_command("migrate", verbosity=0, run_syncdb=True)


def add(username, **fields):
    return str(User.objects.create_user(username, password="first", **fields).pk)


def login(username, password):
    """The value of the cookie; none where Django lets nobody in."""
    client = Client()
    if client.login(username=username, password=password):
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        CLIENTS[cookie] = client
        return cookie


def logout(cookie):
    CLIENTS.pop(cookie).logout()


def change(username, **fields):
    User.objects.filter(**{User.USERNAME_FIELD: username}).update(**fields)


def password(username, new):
    user = User.objects.get_by_natural_key(username)
    user.set_password(new)
    user.save()


def say(username, room, text, created):
    """Puts a message into the table of the project's own chat."""
    from chat.models import Message

    user = User.objects.get_by_natural_key(username)
    Message.objects.create(user=user, room=room, text=text, created=created)


def remember(cookie, literal):
    """Puts a value of Python's into a session; the value of the cookie then."""
    session = store(cookie)
    session["something"] = ast.literal_eval(literal)
    session.save()
    return session.session_key


def expire(cookie, seconds):
    session = store(cookie)
    session.set_expiry(seconds)
    session.save()


def pickled(literal, protocol):
    return base64.b64encode(pickle.dumps(ast.literal_eval(literal), protocol)).decode()


def cookie(line, name):
    """What Django reads of a cookie in a request with this line of cookies."""
    return parse_cookie(line).get(name)


def token(claims, key, algorithm, headers=None):
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


def keys(kind, kid, bits=2048):
    """A fresh pair of keys: in PEM, and the public one as a JWK."""
    if kind == "RS256":
        private, of = rsa.generate_private_key(65537, bits), jwt.algorithms.RSAAlgorithm
    else:
        private, of = ed25519.Ed25519PrivateKey.generate(), jwt.algorithms.OKPAlgorithm
    encoded = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = private.public_key()
    jwk = json.loads(of.to_jwk(public)) | {"kid": kid, "use": "sig"}
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {"private": encoded, "public": pem, "jwk": jwk}


def forged(header, claims, secret):
    """A token whose header says what it likes, with an HMAC by a secret."""
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")  # noqa: E731
    message = part(header) + b"." + part(claims)
    signature = hmac.new(secret.encode(), message, "sha256").digest() if secret else b""
    return (message + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


COMMANDS = {f.__name__: f for f in (
    migrate, add, login, logout, change, password, say, remember, expire, pickled, cookie, token, keys, forged,
)}

for line in sys.stdin:
    command = json.loads(line)
    try:
        answer = {"ok": COMMANDS[command.pop("do")](**command)}
    except Exception as error:
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)
