"""`stack.json`: everything a client of the local cloud needs to know, its users and how they sign in among it."""

import contextlib
import json
import os
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict, cast

import httpx

from orders.contract import ADMIN_GROUP, API_PREFIX
from tools.cloud import aws
from tools.cloud.settings import Settings
from tools.errors import Refused, Unavailable
from tools.loopback import is_encrypted

_OWNER_ONLY: Final = 0o600


_EMAILS: Final = {
    "customer": "customer@example.com",
    "other": "other@example.com",
    "admin": "admin@example.com",
}
_PASSWORD_LENGTH: Final = 24
_SYMBOLS: Final = "!#%+-_=?"
_SIGN_IN_SECONDS: Final = 60


class User(TypedDict):
    """What it takes to sign in."""

    email: str
    password: str


@dataclass(frozen=True)
class Tokens:
    """Good for 15 minutes. The API takes access tokens; ID tokens are for the client itself."""

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)


class QueueUrls(TypedDict):
    url: str
    dlq_url: str


class StripeFake(TypedDict):
    """Where Stripe's fake is, and the key that it takes."""

    url: str
    api_key: str


class Stack(TypedDict):
    """The content of the file; a contract."""

    region: str
    endpoint_url: str
    api_url: str
    database_url: str
    state_machine_arn: str
    user_pool_id: str
    user_pool_client_id: str
    queues: dict[str, QueueUrls]
    users: dict[str, User]
    console_url: str
    payment_provider: str
    stripe: NotRequired[StripeFake]
    """If orders of this local cloud are or were paid through it."""


def describe(
    settings: Settings,
    outputs: dict[str, str],
    users: dict[str, User],
    database_url: str,
    stripe: StripeFake | None = None,
) -> Stack:
    """The stack from the outputs of its deploy."""
    # Only a deploy needs it: it makes the models of all events.
    from orders.events import Queue

    api_url = f"{settings.endpoint_url}/_aws/execute-api/{outputs['ApiId']}"
    described = Stack(
        region=outputs["Region"],
        endpoint_url=settings.endpoint_url,
        api_url=api_url,
        database_url=database_url,
        state_machine_arn=outputs["StateMachineArn"],
        user_pool_id=outputs["UserPoolId"],
        user_pool_client_id=outputs["UserPoolClientId"],
        queues={name: _queue(outputs, name) for name in Queue},
        users=users,
        console_url=f"{api_url}{API_PREFIX}/console",
        payment_provider=settings.payment_provider,
    )
    if stripe:
        described["stripe"] = stripe
    return described


def read(settings: Settings) -> Stack | None:
    """The stack that was written last, if there is one."""
    content = read_json(settings.stack_file)
    return cast(Stack, content) if content else None


def write(settings: Settings, stack: Stack) -> None:
    write_json(settings.stack_file, stack)


def read_json(path: Path) -> Any:
    """The file's content; None if there is no such file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def write_json(path: Path, content: Any) -> None:
    """Writes the file whole or not at all, for its owner's eyes only."""
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.touch(_OWNER_ONLY)
    unfinished.write_text(json.dumps(content, indent=2) + "\n")
    unfinished.replace(path)


def ensure_users(settings: Settings, user_pool_id: str) -> dict[str, User]:
    """Creates the users that are missing and returns all of them; those that are known keep their passwords."""
    client = aws.cognito(settings)
    passwords = settings.emulator_state / "users.json"
    known: Mapping[str, User] = read_json(passwords) or {}
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
    passwords.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(passwords, users)
    client.admin_add_user_to_group(
        UserPoolId=user_pool_id, Username=users["admin"]["email"], GroupName=ADMIN_GROUP
    )
    return users


def sign_in(settings: Settings, stack: Stack, user: str) -> Tokens:
    """Signs one of the stack's users (`customer`, `other`, `admin`) in with their password.

    By Cognito's HTTP API, which asks for no signature here: to load the SDK takes longer than all else that most
    commands do.

    Raises:
        Refused: Cognito refused.
        Unavailable: it does not answer.
    """
    credentials = stack["users"][user]
    request = {
        "AuthFlow": "USER_PASSWORD_AUTH",
        "ClientId": stack["user_pool_client_id"],
        "AuthParameters": {"USERNAME": credentials["email"], "PASSWORD": credentials["password"]},
    }
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
    }
    try:
        response = httpx.post(
            settings.endpoint_url,
            content=json.dumps(request),
            headers=headers,
            timeout=_SIGN_IN_SECONDS,
            # A proxy of this machine must not stand between it and its own loopback.
            trust_env=False,
            verify=is_encrypted(settings.endpoint_url),
        )
    except httpx.TransportError as error:
        raise Unavailable(f"Cognito does not answer: {type(error).__name__}: {error}") from None
    if not response.is_success:
        raise Refused(f"Cognito answered: {response.status_code} {response.text}")
    tokens = response.json()["AuthenticationResult"]
    return Tokens(access_token=tokens["AccessToken"], id_token=tokens["IdToken"])


def new_password() -> str:
    """Random, with a character of every kind that the pool's policy asks for."""
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, _SYMBOLS)
    required = [secrets.choice(kind) for kind in kinds]
    others = [secrets.choice("".join(kinds)) for _ in range(_PASSWORD_LENGTH - len(required))]
    characters = required + others
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)


def _queue(outputs: dict[str, str], name: str) -> QueueUrls:
    prefix = "".join(word.capitalize() for word in name.split("-"))
    return QueueUrls(url=outputs[f"{prefix}QueueUrl"], dlq_url=outputs[f"{prefix}DlqUrl"])
