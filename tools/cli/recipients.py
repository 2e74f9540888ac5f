"""The commands of a customer who wants messages to go to another address or to a telephone: `recipients add`, …"""

from typing import Annotated, Final
from uuid import uuid4

import typer

from orders.domain import Channel, Locale
from tools.cli.api import client
from tools.cli.commands import Commands, listing, show

app = Commands(
    name="recipients",
    help="Where messages about your orders may go, besides your account's own address.",
    no_args_is_help=True,
)

User = Annotated[
    str | None,
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
    user: User = None,
) -> None:
    """Have a code sent to an address, or a new one."""
    channel = Channel.EMAIL if "@" in address else Channel.SMS
    with client(user) as api:
        recipient = api.post_once(
            "recipients", key or str(uuid4()), channel=channel, address=address, locale=locale
        )
    address, recipient_id = recipient["address"], recipient["recipientId"]
    if recipient["confirmedAt"]:
        show(recipient, f"{address} is confirmed already.")
    else:
        show(
            recipient,
            f"A code was sent to {address}. Go on with: bin/orders recipients confirm {recipient_id} CODE",
        )


@app.command()
def confirm(
    recipient: RecipientId,
    code: Annotated[str, typer.Argument(metavar="CODE", help="The six digits of the message.")],
    user: User = None,
) -> None:
    """Confirm an address with the code that was sent there."""
    with client(user) as api:
        confirmed = api.post(f"recipients/{recipient}/confirmation", code=code)
    show(confirmed, f"Messages may go to {confirmed['address']} now.")


@app.command("list")
def list_recipients(user: User = None) -> None:
    """List the recipients. The account's own address is always one and is not listed."""
    with client(user) as api:
        items = list(api.items("recipients"))
    show({"items": items}, listing(items, _COLUMNS))


@app.command()
def remove(recipient: RecipientId, user: User = None) -> None:
    """Remove a recipient; no message about your orders goes there any more."""
    with client(user) as api:
        api.delete(f"recipients/{recipient}")
    show({"recipientId": recipient}, "Removed.")
