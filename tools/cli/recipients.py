"""The commands of a customer who wants messages to go to another address or to a telephone: `recipients add`, …"""

from contextlib import AbstractContextManager
from typing import Annotated, Final
from uuid import uuid4

import typer
from rich.console import Console
from rich.markup import escape

from orders.domain import Channel, Locale
from tools.cli.account import token_of
from tools.client.http import ApiClient
from tools.cloud import local_cloud
from tools.cloud.settings import Settings
from tools.console import table_of

app = typer.Typer(
    help="Where messages about your orders may go, besides your account's own address.", no_args_is_help=True
)
console = Console(highlight=False)

User = Annotated[
    str,
    typer.Option("--user", help="Whose recipients: customer, other, admin, or me after bin/orders login."),
]
RecipientId = Annotated[str, typer.Argument(metavar="RECIPIENT", help="The recipient's id.")]

_COLUMNS: Final = {
    "Recipient": "recipientId",
    "Channel": "channel",
    "Address": "address",
    "Confirmed": "confirmedAt",
    "Code until": "codeExpiresAt",
}


@app.command()
def add(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="An e-mail address, or a telephone, e.g. +34600123456.")
    ],
    locale: Annotated[Locale, typer.Option(help="Language of the message with the code.")] = Locale.EN,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key; a new one unless given.")] = None,
    user: User = "customer",
) -> None:
    """Have a code sent to an address, or a new one."""
    channel = Channel.EMAIL if "@" in address else Channel.SMS
    with _client(user) as client:
        recipient = client.post_once(
            "recipients", key or str(uuid4()), channel=channel, address=address, locale=locale
        )
    shown, recipient_id = escape(recipient["address"]), escape(recipient["recipientId"])
    if recipient["confirmedAt"]:
        console.print(f"{shown} is confirmed already.", soft_wrap=True)
    else:
        console.print(
            f"A code was sent to {shown}. Go on with: bin/orders recipients confirm {recipient_id} CODE",
            soft_wrap=True,
        )


@app.command()
def confirm(
    recipient: RecipientId,
    code: Annotated[str, typer.Argument(metavar="CODE", help="The six digits of the message.")],
    user: User = "customer",
) -> None:
    """Confirm an address with the code that was sent there."""
    with _client(user) as client:
        confirmed = client.post(f"recipients/{recipient}/confirmation", code=code)
    console.print(f"Messages may go to {escape(confirmed['address'])} now.", soft_wrap=True)


@app.command("list")
def list_recipients(user: User = "customer") -> None:
    """List the recipients. The account's own address is always one and is not listed."""
    with _client(user) as client:
        # Markup in an address is an address.
        items = [
            {name: value and escape(value) for name, value in item.items()}
            for item in client.items("recipients")
        ]
    console.print(table_of(items, _COLUMNS))


@app.command()
def remove(recipient: RecipientId, user: User = "customer") -> None:
    """Remove a recipient; no message about your orders goes there any more."""
    with _client(user) as client:
        client.delete(f"recipients/{recipient}")
    console.print("Removed.")


def _client(user: str) -> AbstractContextManager[ApiClient]:
    settings = Settings.from_environment()
    return ApiClient.connect(local_cloud.require_up(settings)["api_url"], token_of(settings, user))
