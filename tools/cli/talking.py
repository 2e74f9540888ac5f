"""Talking to the API from a command: as one of the users, with its refusals in its own words."""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import httpx

from tools.cli.account_commands import token_of
from tools.client.client import ApiError, OrdersClient
from tools.cloud.running import running
from tools.cloud.settings import Settings
from tools.errors import LocalCloudError

T = TypeVar("T")
Client = TypeVar("Client", bound=OrdersClient)


def connect(kind: type[Client], settings: Settings, user: str) -> AbstractAsyncContextManager[Client]:
    """A client of this kind for the user, with a new access token.

    Raises:
        LocalCloudError: the local cloud is not up, or there is no such user.
    """
    return kind.connect(running(settings)["api_url"], token_of(settings, user))


def talk(work: Coroutine[Any, Any, T]) -> T:
    """Does the work.

    Raises:
        LocalCloudError: the API refused, or did not answer.
    """
    try:
        return asyncio.run(work)
    except ApiError as error:
        fields = "".join(f"\n  {field.pointer}: {field.detail}" for field in error.problem.errors)
        raise LocalCloudError(f"The API answered {error}{fields}") from error
    except httpx.TransportError as error:
        raise LocalCloudError(f"The API does not answer: {error!r}") from error
