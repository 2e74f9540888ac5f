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
    CONSOLE = "console"


_PATHS: Final = {Place.DOCS: "/docs", Place.API: "/openapi.json", Place.CONSOLE: "/console"}

OnlyPrint = Annotated[bool, typer.Option("--print", help="Open no browser.")]


@app.command()
def url() -> None:
    """Print the API's URL, for any HTTP client; its routes begin with /api/v1."""
    api_url = find_target(Settings.from_environment()).api_url
    show({"url": api_url}, api_url)


@app.command("open")
def open_place(
    place: Annotated[
        Place,
        typer.Argument(
            help="docs: the page to try the API; api: its OpenAPI document; console: the page of operators."
        ),
    ],
    only_print: OnlyPrint = False,
) -> None:
    """Print the URL of a page, and open it in a browser if this is a terminal."""
    _open(place, only_print)


@app.command("console")
def open_console(only_print: OnlyPrint = False) -> None:
    """Print the URL of the console, the page of operators, and open it in a browser if this is a terminal."""
    _open(Place.CONSOLE, only_print)


def _open(place: Place, only_print: bool) -> None:
    page = f"{find_target(Settings.from_environment()).api_url}{API_PREFIX}{_PATHS[place]}"
    is_for_eyes = sys.stdout.isatty() and not only_print
    show({"url": page}, page)
    if is_for_eyes:
        typer.launch(page)
