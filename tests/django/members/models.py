"""People of a project that has a table of its own for them."""

import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Members(BaseUserManager):
    def create_user(self, username, password, **fields):
        member = self.model(email=username, **fields)
        member.set_password(password)
        member.save()
        return member


class Member(AbstractBaseUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    full_name = models.CharField(max_length=100)

    USERNAME_FIELD = "email"
    objects = Members()

    class Meta:
        db_table = "club_members"
