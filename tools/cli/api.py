"""The API from a command: as whom, and with its refusals in its own words."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tools.cli import session
from tools.cli.commands import current, working
from tools.cli.target import Target, find_target, say_where
from tools.client.http import ApiClient, refusals_told
from tools.cloud import stack
from tools.cloud.settings import Settings
from tools.errors import LocalCloudError, Misused, Refused

if TYPE_CHECKING:
    from tools.client.orders_client import OrdersClient

T = TypeVar("T")
Client = TypeVar("Client", bound="OrdersClient")


class Access(NamedTuple):
    """Where the API is, and what it is shown."""

    api_url: str
    token: str


def access(user: str | None = None, default: str = "customer") -> Access:
    """The API, and a token for it: the one that was given, or that of the user.

    `default` is the local cloud's user who asks if nobody is named. An API elsewhere knows none of those users: there
    it is whoever is signed in.

    Raises:
        LocalCloudError: the API cannot be used, nobody is signed in to it, or the token is another system's.
    """
    settings = Settings.from_environment()
    target = find_target(settings)
    given = current().token
    if given:
        _refuse_other_systems(given, target, settings)
        who, token = "the given token", given
    elif target.is_local:
        who = user or default
        token = session.token_of(settings, target, who)
    else:
        who = user or session.ME
        token = session.token_of(settings, target, who)
    say_where(target, who)
    return Access(target.api_url, token)


def address_of(user: str | None = None, default: str = "customer") -> str:
    """The address of the account that `access` is for.

    Raises:
        Misused: a token was given, and says nothing of it.
        LocalCloudError: as for `access`.
    """
    if current().token:
        raise Misused("A token says no address. Say with --email where the mails go.")
    settings = Settings.from_environment()
    target = find_target(settings)
    return session.address_of(settings, target, user or (default if target.is_local else session.ME))


@contextmanager
def client(user: str | None = None, default: str = "customer") -> Iterator[ApiClient]:
    """A client for the user. Raises as `access` does, and inside the block as `refusals_told` does."""
    shown = access(user, default)
    with working("Waiting for the API"), ApiClient.connect(*shown) as api:
        yield api


def connect(
    kind: type[Client], user: str | None, default: str = "customer"
) -> AbstractAsyncContextManager[Client]:
    """A client of this kind for the user. Raises as `access` does."""
    return kind.connect(*access(user, default))


def run(requests: Coroutine[Any, Any, T]) -> T:
    """Waits for the requests.

    Raises:
        LocalCloudError: the API refused, or did not answer.
    """
    import asyncio

    with refusals_told():
        return asyncio.run(requests)


def _refuse_other_systems(token: str, target: Target, settings: Settings) -> None:
    """A token goes to the system that issued it, and to no other: whoever gets it can use it.

    Raises:
        LocalCloudError: it cannot be a token, or the local cloud's would go elsewhere, or another's to the local cloud.
    """
    if not token.isascii() or not token.isprintable() or " " in token:
        raise LocalCloudError("The token is none: it has characters that no token has.")
    issuer = _issuer(token)
    known = stack.read(settings)
    if issuer is None or known is None:
        return
    is_of_local = issuer.rstrip("/").endswith(f"/{known['user_pool_id']}")
    if is_of_local and not target.is_local:
        raise Refused(f"The token is the local cloud's. It is not sent to {target.api_url}.")
    if target.is_local and not is_of_local:
        raise Refused(f"The token is of {issuer}. It is not sent to the local cloud. Unset ORDERS_TOKEN?")


def _issuer(token: str) -> str | None:
    """What a JWT says, unverified; None if it says nothing."""
    try:
        claims = token.split(".")[1]
        return str(json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["iss"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None
