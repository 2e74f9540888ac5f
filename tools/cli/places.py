"""The commands that say where an API is: `url` and `open`."""

import sys
from enum import StrEnum
from typing import Annotated, Final

import typer

from orders.contract import API_PREFIX
from tools.cli.commands import Commands, show
from tools.cli.target import find_target
from tools.cloud.settings import Settings

app = Commands()


class Place(StrEnum):
    DOCS = "docs"
    API = "api"


_PATHS: Final = {Place.DOCS: "/docs", Place.API: "/openapi.json"}


@app.command()
def url() -> None:
    """Print the API's URL, for any HTTP client; its routes begin with /api/v1."""
    api_url = find_target(Settings.from_environment()).api_url
    show({"url": api_url}, api_url)


@app.command("open")
def open_place(
    place: Annotated[Place, typer.Argument(help="docs: the page to try the API; api: its OpenAPI document.")],
    only_print: Annotated[bool, typer.Option("--print", help="Open no browser.")] = False,
) -> None:
    """Print the URL of a page, and open it in a browser if this is a terminal."""
    page = f"{find_target(Settings.from_environment()).api_url}{API_PREFIX}{_PATHS[place]}"
    is_for_eyes = sys.stdout.isatty() and not only_print
    show({"url": page}, page)
    if is_for_eyes:
        typer.launch(page)
