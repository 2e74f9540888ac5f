"""Which API a command talks to, and that it says so."""

from typing import NamedTuple
from urllib.parse import urlsplit

from rich.text import Text

from orders.contract import API_PREFIX
from tools.cli.commands import current, notes
from tools.cloud import local_cloud
from tools.cloud.settings import Settings, is_local
from tools.errors import Misused
from tools.loopback import is_loopback


class Target(NamedTuple):
    """An API."""

    api_url: str
    """Without `/api/v1`."""
    is_local: bool
    """It is the local cloud's, whose users can be asked for by name."""


def find_target(settings: Settings) -> Target:
    """The API that `--api-url` or ORDERS_API_URL names, else the local cloud's.

    Raises:
        Misused: it is no URL of an API.
        Unavailable: the local cloud is not up.
    """
    named = current().api_url
    if not named:
        return Target(local_cloud.require_up(settings)["api_url"], is_local=True)
    api_url = named.rstrip("/").removesuffix(API_PREFIX)
    try:
        parts = urlsplit(api_url)
        parts.port  # noqa: B018 - a wrong one raises
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Misused(f"{named!r} is no URL of an API. It looks like https://api.example.com")
    if parts.username or parts.query or parts.fragment:
        raise Misused("The URL of an API has neither a user, nor a query, nor a fragment.")
    if parts.scheme == "http" and not is_loopback(api_url):
        raise Misused(f"{api_url} would see your token unencrypted. Use https.")
    return Target(api_url, is_local(api_url, settings))


def say_where(target: Target, who: str | None = None) -> None:
    """Once for each command, on standard error."""
    invocation = current()
    if not invocation.said_where:
        invocation.said_where = True
        place = " (local cloud)" if target.is_local else ""
        notes.print(Text(f"API {target.api_url}{place}{f', as {who}' if who else ''}", "dim"))
