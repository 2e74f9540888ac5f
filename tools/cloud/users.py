"""The demonstration's users, in the stack's user pool."""

import contextlib
import secrets
import string
from collections.abc import Mapping
from typing import Final, TypedDict

from orders.contract import ADMIN_GROUP
from tools.cloud import aws
from tools.cloud.settings import Settings

_EMAILS: Final = {
    "customer": "customer@example.com",
    "other": "other@example.com",
    "admin": "admin@example.com",
}
_PASSWORD_LENGTH: Final = 24
_SYMBOLS: Final = "!#%+-_=?"


class User(TypedDict):
    """What it takes to sign in."""

    email: str
    password: str


def ensure(settings: Settings, user_pool_id: str, known: Mapping[str, User]) -> dict[str, User]:
    """Creates the users that are missing and answers all of them; those that are known keep their passwords."""
    client = aws.cognito(settings)
    users: dict[str, User] = {}
    for name, email in _EMAILS.items():
        user = known.get(name) or User(email=email, password=new_password())
        with contextlib.suppress(client.exceptions.UsernameExistsException):
            client.admin_create_user(
                UserPoolId=user_pool_id,
                Username=email,
                UserAttributes=[
                    {"Name": "email", "Value": email},
                    {"Name": "email_verified", "Value": "true"},
                ],
                MessageAction="SUPPRESS",
            )
        client.admin_set_user_password(
            UserPoolId=user_pool_id, Username=email, Password=user["password"], Permanent=True
        )
        users[name] = user
    client.admin_add_user_to_group(
        UserPoolId=user_pool_id, Username=users["admin"]["email"], GroupName=ADMIN_GROUP
    )
    return users


def new_password() -> str:
    """Random, with a character of every kind that the pool's policy asks for."""
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, _SYMBOLS)
    required = [secrets.choice(kind) for kind in kinds]
    others = [secrets.choice("".join(kinds)) for _ in range(_PASSWORD_LENGTH - len(required))]
    characters = required + others
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)
