"""The commands of a customer whose server is told about their orders: `webhook add`, `list`, `deliveries`, …"""

from contextlib import AbstractContextManager
from typing import Annotated, Final

import typer

from tools.cli.account import token_of
from tools.client.http import ApiClient
from tools.cloud import local_cloud
from tools.cloud.settings import Settings
from tools.console import Console, table_of

app = typer.Typer(
    help="Your own server hears of your orders; docs/webhooks.md tells how.", no_args_is_help=True
)
console = Console()

User = Annotated[
    str, typer.Option("--user", help="Whose webhooks: customer, other, admin, or me after bin/orders login.")
]
WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK", help="The webhook's id.")]

_WEBHOOK_COLUMNS: Final = {
    "Webhook": "webhookId",
    "URL": "url",
    "Status": "status",
    "Why": "disabledReason",
    "Description": "description",
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
    user: User = "customer",
) -> None:
    """Register a server, and print the secret that its calls are signed with."""
    with _client(user) as client:
        webhook = client.post("webhooks", url=url, description=description)
    console.print(f"Webhook {webhook['webhookId']} calls {webhook['url']}", soft_wrap=True)
    console.print(f"Secret  {webhook['secret']}  (it is not shown again)", soft_wrap=True)


@app.command("list")
def list_webhooks(user: User = "customer") -> None:
    """List the webhooks."""
    with _client(user) as client:
        console.print(table_of(client.items("webhooks"), _WEBHOOK_COLUMNS))


@app.command()
def update(
    webhook: WebhookId,
    url: Annotated[str | None, typer.Option(help="Where it is from now on; the secret stays.")] = None,
    description: Annotated[str | None, typer.Option(help="For your own eyes.")] = None,
    event: Annotated[
        list[str] | None, typer.Option(help="A type of events to hear of; repeat it, or say all.")
    ] = None,
    user: User = "customer",
) -> None:
    """Change a webhook; what is left out stays."""
    events = None if event == ["all"] else event
    asked = {"url": url, "description": description}
    change: dict[str, object] = {name: value for name, value in asked.items() if value is not None}
    with _client(user) as client:
        changed = client.patch(f"webhooks/{webhook}", change | ({"eventTypes": events} if event else {}))
    heard = ", ".join(changed["eventTypes"] or ["everything"])
    console.print(f"It calls {changed['url']} and hears of {heard}.", soft_wrap=True)


@app.command("test")
def send_test(webhook: WebhookId, user: User = "customer") -> None:
    """Send a test event to a webhook; deliveries shows what became of it."""
    with _client(user) as client:
        delivery = client.post(f"webhooks/{webhook}/test")
    console.print(f"The delivery {delivery['deliveryId']} will be sent now.", soft_wrap=True)


@app.command()
def remove(webhook: WebhookId, user: User = "customer") -> None:
    """Remove a webhook; nothing more is sent to it."""
    with _client(user) as client:
        client.delete(f"webhooks/{webhook}")
    console.print("Removed.")


@app.command()
def rotate(
    webhook: WebhookId,
    revoke_previous: Annotated[
        bool, typer.Option("--revoke-previous", help="Earlier secrets are worth nothing at once.")
    ] = False,
    user: User = "customer",
) -> None:
    """Replace a webhook's secret; the old one is signed with for another day."""
    with _client(user) as client:
        rotated = client.post(f"webhooks/{webhook}/secret", revokePrevious=revoke_previous or None)
    console.print(f"Secret  {rotated['secret']}  (it is not shown again)", soft_wrap=True)
    if not revoke_previous:
        console.print(f"The one before is good until {rotated['previousSecretExpiresAt']}", soft_wrap=True)


@app.command()
def enable(webhook: WebhookId, user: User = "customer") -> None:
    """Enable a webhook that was disabled."""
    with _client(user) as client:
        enabled = client.post(f"webhooks/{webhook}/enable")
    console.print(f"It is {enabled['status']}.")


@app.command()
def deliveries(
    webhook: WebhookId,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many, newest first.")] = 20,
    user: User = "customer",
) -> None:
    """List what was sent to a webhook, or is going to be."""
    with _client(user) as client:
        newest = client.get(f"webhooks/{webhook}/deliveries", limit=limit)["items"]
    console.print(table_of(newest, _DELIVERY_COLUMNS))


@app.command()
def redeliver(
    webhook: WebhookId,
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="The delivery's id.")],
    user: User = "customer",
) -> None:
    """Send a delivery again."""
    with _client(user) as client:
        again = client.post(f"webhooks/{webhook}/deliveries/{delivery}/redeliver")
    console.print(f"It is {again['status']} and will be sent again now.")


def _client(user: str) -> AbstractContextManager[ApiClient]:
    settings = Settings.from_environment()
    return ApiClient.connect(local_cloud.require_up(settings)["api_url"], token_of(settings, user))
