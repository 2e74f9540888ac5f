"""The `orders` command line. Every command lives in its own module; `lazy.MODULES` lists them."""

import sys
import tomllib
from typing import Annotated

import typer

from tools.cli import commands
from tools.cli.commands import Commands
from tools.cli.lazy import LazyGroup
from tools.cloud.settings import ROOT

app = Commands(
    name="orders",
    cls=LazyGroup,
    help="The order pipeline: its local cloud, its orders, and what operators do.",
    epilog=" ".join(commands.EXIT_CODES.split()),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"orders {tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The order pipeline: its local cloud, its orders, and what operators do."""


def main() -> None:
    """Runs a command."""
    commands.run(app)


if __name__ == "__main__":
    # httpx imports its own command line and HTTP/2 if they are installed; nothing here uses them.
    sys.modules |= dict.fromkeys(("httpx._main", "h2"))  # type: ignore[arg-type]
    main()
