"""What a project without Confab might keep of its chat."""

from django.conf import settings
from django.db import models


class Message(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    room = models.CharField(max_length=64)
    text = models.TextField()
    created = models.DateTimeField()
