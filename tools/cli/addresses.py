"""The commands of operators for addresses that get no mail any more: `addresses list`, `show` and `allow`."""

from typing import Annotated, Final
from urllib.parse import quote

import typer

from tools.cli.api import client
from tools.cli.commands import Commands, listing, show
from tools.cli.operations import Note

app = Commands(
    name="addresses",
    help="Addresses that get no mail any more: one came back, or was complained of.",
    no_args_is_help=True,
)

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The e-mail address.")]

_COLUMNS: Final = {"Address": "address", "Reason": "reason", "Order": "orderId", "Since": "since"}


@app.command("list")
def list_addresses() -> None:
    """List them, newest first. Where none is named its text is erased; look such a one up with `show`."""
    with client(default="admin") as api:
        items = list(api.items("admin/suppressed-addresses"))
    show({"items": items}, listing(items, _COLUMNS) if items else "Mail may go to every address.")


@app.command("show")
def show_address(address: Address) -> None:
    """Show why an address gets no mail any more."""
    with client(default="admin") as api:
        found = api.get(_path(address))
    show(found, listing([{**found, "address": address}], _COLUMNS))


@app.command("allow")
def allow_address(address: Address, note: Note) -> None:
    """Let mail go to an address again, e.g. because its mailbox was repaired."""
    with client(default="admin") as api:
        api.delete(_path(address), note=note)
    show({"address": address}, f"Mail may go to {address} again.")


def _path(address: str) -> str:
    return f"admin/suppressed-addresses/{quote(address, safe='@')}"
