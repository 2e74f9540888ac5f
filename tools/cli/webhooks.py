"""The commands of a customer whose server is told about their orders: `webhook add`, `list`, `deliveries`, …"""

from itertools import islice
from typing import Annotated, Final
from uuid import uuid4

import typer

from tools.cli.api import client
from tools.cli.commands import Commands, listing, show
from tools.console import cell

app = Commands(
    name="webhook",
    help="Your own server hears of your orders; docs/webhooks.md tells how.",
    no_args_is_help=True,
)
User = Annotated[
    str | None,
    typer.Option("--user", help="Whose webhooks: customer, other, admin, or me after bin/orders login."),
]
WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK", help="The webhook's id.")]

_WEBHOOK_COLUMNS: Final = {
    "Webhook": "webhookId",
    "URL": "url",
    "Status": "status",
    "Why": "disabledReason",
    "Description": "description",
}
_ALL_COLUMNS: Final = {
    "Webhook": "webhookId",
    "Customer": "customerId",
    "URL": "url",
    "Status": "status",
    "Failures": "consecutiveFailures",
    "HTTP": "lastStatus",
    "Error": "lastError",
    "Last": "lastAttemptAt",
}
_DELIVERY_COLUMNS: Final = {
    "Delivery": "deliveryId",
    "Event": "eventType",
    "Order": "orderId",
    "Status": "status",
    "Attempts": "attempts",
    "HTTP": "lastStatus",
    "Error": "lastError",
    "Next attempt": "nextAttemptAt",
}


@app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="E.g. http://127.0.0.1:8080/hooks, locally.")],
    description: Annotated[str | None, typer.Option(help="For your own eyes.")] = None,
    user: User = None,
) -> None:
    """Register a server, and print the secret that its calls are signed with."""
    with client(user) as api:
        webhook = api.post_once("webhooks", str(uuid4()), url=url, description=description)
    show(
        webhook,
        f"Webhook {webhook['webhookId']} calls {webhook['url']}",
        f"Secret  {webhook['secret']}  (it is not shown again)",
    )


@app.command("list")
def list_webhooks(
    user: User = None,
    everybody: Annotated[
        bool, typer.Option("--all", help="Of all customers, failing ones first; for administrators.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Of all customers': how many at most.")] = 50,
) -> None:
    """List the webhooks."""
    if everybody:
        with client(user, default="admin") as api:
            found = list(islice(api.items("admin/webhooks", limit=min(limit, 100)), limit))
        show({"items": found}, listing(found, _ALL_COLUMNS))
        return
    with client(user) as api:
        webhooks = list(api.items("webhooks"))
    show({"items": webhooks}, listing(webhooks, _WEBHOOK_COLUMNS))


@app.command()
def update(
    webhook: WebhookId,
    url: Annotated[str | None, typer.Option(help="Where it is from now on; the secret stays.")] = None,
    description: Annotated[str | None, typer.Option(help="For your own eyes.")] = None,
    event: Annotated[
        list[str] | None, typer.Option(help="A type of events to hear of; repeat it, or say all.")
    ] = None,
    user: User = None,
) -> None:
    """Change a webhook; what is left out stays."""
    events = None if event == ["all"] else event
    asked = {"url": url, "description": description}
    change: dict[str, object] = {name: value for name, value in asked.items() if value is not None}
    with client(user) as api:
        changed = api.patch(f"webhooks/{webhook}", change | ({"eventTypes": events} if event else {}))
    heard = ", ".join(changed["eventTypes"] or ["everything"])
    show(changed, f"It calls {changed['url']} and hears of {heard}.")


@app.command()
def remove(webhook: WebhookId, user: User = None) -> None:
    """Remove a webhook; nothing more is sent to it."""
    with client(user) as api:
        api.delete(f"webhooks/{webhook}")
    show({"webhookId": webhook}, "Removed.")


@app.command()
def rotate(
    webhook: WebhookId,
    revoke_previous: Annotated[
        bool, typer.Option("--revoke-previous", help="Earlier secrets are worth nothing at once.")
    ] = False,
    user: User = None,
) -> None:
    """Replace a webhook's secret; the old one is signed with for another day."""
    revoked = {"revokePrevious": True} if revoke_previous else {}
    with client(user) as api:
        rotated = api.post_once(f"webhooks/{webhook}/secret", str(uuid4()), **revoked)
    until = rotated["previousSecretExpiresAt"]
    show(
        rotated,
        f"Secret  {rotated['secret']}  (it is not shown again)",
        *([f"The one before is good until {cell('expiresAt', until)}"] if until else []),
    )


@app.command()
def enable(webhook: WebhookId, user: User = None) -> None:
    """Enable a webhook that was disabled."""
    with client(user) as api:
        enabled = api.post(f"webhooks/{webhook}/enable")
    show(enabled, f"It is {enabled['status']}.")


@app.command()
def deliveries(
    webhook: WebhookId,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many, newest first.")] = 20,
    user: User = None,
) -> None:
    """List what was sent to a webhook, or is going to be."""
    with client(user) as api:
        page = api.get(f"webhooks/{webhook}/deliveries", limit=limit)
    show(page, listing(page["items"], _DELIVERY_COLUMNS))


@app.command()
def redeliver(
    webhook: WebhookId,
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="The delivery's id.")],
    user: User = None,
) -> None:
    """Send a delivery again."""
    with client(user) as api:
        again = api.post(f"webhooks/{webhook}/deliveries/{delivery}/redeliver")
    show(again, f"It is {again['status']} and will be sent again now.")


@app.command()
def listen(
    forward_to: Annotated[
        str | None,
        typer.Option(metavar="PORT|URL", help="Pass each call on, e.g. to your server in development."),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="To listen at; any that is free unless given.")
    ] = 0,
    url: Annotated[
        str | None,
        typer.Option(help="The public https URL that leads here, for an API that is not on this machine."),
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many calls.")] = None,
    user: User = None,
) -> None:
    """Register a webhook for as long as this runs, and print and verify its calls. With --json, one line for each."""
    # Only it needs a server, which takes long to import.
    from tools.cli import webhook_listen

    webhook_listen.listen(forward_to, port, url, count, user)


@app.command()
def trigger(webhook: WebhookId, user: User = None) -> None:
    """Have a test event sent to a webhook."""
    with client(user) as api:
        accepted = api.post_once(f"webhooks/{webhook}/test", str(uuid4()))
    show(accepted, f"A test event is on its way. See: bin/orders webhook deliveries {webhook}")
