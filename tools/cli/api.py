"""The API from a command: as one of the users, with its refusals in its own words."""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from tools.cli.account import token_of
from tools.client.http import refusals_told
from tools.client.orders_client import OrdersClient
from tools.cloud import local_cloud
from tools.cloud.settings import Settings

T = TypeVar("T")
Client = TypeVar("Client", bound=OrdersClient)


def connect(kind: type[Client], settings: Settings, user: str) -> AbstractAsyncContextManager[Client]:
    """A client of this kind for the user, with a new access token.

    Raises:
        LocalCloudError: the local cloud is not up, or there is no such user.
    """
    return kind.connect(local_cloud.require_up(settings)["api_url"], token_of(settings, user))


def run(requests: Coroutine[Any, Any, T]) -> T:
    """Waits for the requests.

    Raises:
        LocalCloudError: the API refused, or did not answer.
    """
    with refusals_told():
        return asyncio.run(requests)
