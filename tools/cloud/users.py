"""The users of the local cloud, in the stack's user pool, and how they sign in."""

import contextlib
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypedDict

from orders.contract import ADMIN_GROUP
from tools.cloud import aws
from tools.cloud.settings import Settings

if TYPE_CHECKING:
    from tools.cloud.stack import Stack

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


@dataclass(frozen=True)
class Tokens:
    """Good for 15 minutes. The API takes access tokens; ID tokens are for the client itself."""

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)


def ensure(settings: Settings, user_pool_id: str, known: Mapping[str, User]) -> dict[str, User]:
    """Creates the users that are missing and returns all of them; those that are known keep their passwords."""
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


def sign_in(settings: Settings, stack: "Stack", user: str) -> Tokens:
    """Signs one of the stack's users (`customer`, `other`, `admin`) in with their password."""
    credentials = stack["users"][user]
    answer = aws.cognito(settings).initiate_auth(
        AuthFlow="USER_PASSWORD_AUTH",
        ClientId=stack["user_pool_client_id"],
        AuthParameters={"USERNAME": credentials["email"], "PASSWORD": credentials["password"]},
    )["AuthenticationResult"]
    return Tokens(access_token=answer["AccessToken"], id_token=answer["IdToken"])


def new_password() -> str:
    """Random, with a character of every kind that the pool's policy asks for."""
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, _SYMBOLS)
    required = [secrets.choice(kind) for kind in kinds]
    others = [secrets.choice("".join(kinds)) for _ in range(_PASSWORD_LENGTH - len(required))]
    characters = required + others
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)
