"""The commands of operators: `dlq`, `review`, `outbox` and `health`. docs/operations.md says when to use which."""

from contextlib import AbstractContextManager
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias

import typer
from rich.text import Text

from tools.cli.operations_tables import execution_table, health_table, order_report
from tools.client.http import ApiClient
from tools.cloud import stack
from tools.cloud.settings import Settings
from tools.cloud.stack import sign_in
from tools.console import Console, in_one_line, money, table, table_of
from tools.errors import LocalCloudError

app = typer.Typer()
dlq = typer.Typer(help="Messages that were given up.", no_args_is_help=True)
review = typer.Typer(help="Orders that wait for an operator.", no_args_is_help=True)
outbox = typer.Typer(help="Events that could not be published.", no_args_is_help=True)
app.add_typer(dlq, name="dlq")
app.add_typer(review, name="review")
app.add_typer(outbox, name="outbox")
console = Console()

ApiUrl = Annotated[
    str | None,
    typer.Option("--api-url", envvar="ORDERS_API_URL", help="The API; the local cloud's unless given."),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token", envvar="ORDERS_TOKEN", help="An administrator's access token; needed with --api-url."
    ),
]
QueueName = Annotated[str, typer.Argument(metavar="QUEUE", help="E.g. order-processing.")]
MessageId = Annotated[str, typer.Argument(metavar="MESSAGE", help="The message's id.")]
OrderId = Annotated[str, typer.Argument(metavar="ORDER", help="The order's id.")]
EventId = Annotated[str, typer.Argument(metavar="EVENT", help="The event's id.")]
Note = Annotated[str, typer.Option("--note", "-n", help="Why; it is kept, so it should name no customer.")]
MaybeNote = Annotated[str | None, typer.Option("--note", "-n", help="Why; it is kept.")]
End: TypeAlias = Literal["CONFIRMED", "CANCELLED"]

_LETTER_FIELDS: Final = {
    "event": "eventId",
    "type": "eventType",
    "order": "orderId",
    "status": "orderStatus",
    "correlation": "correlationId",
    "sent": "sentAt",
    "received": "received",
}
_EVENT_COLUMNS: Final = {
    "Event": "eventId",
    "Type": "type",
    "Order": "orderId",
    "Attempts": "attempts",
    "Last error": "lastError",
}


class ApiAccess(NamedTuple):
    """Where the API is, and who asks."""

    api_url: str
    token: str


def api_access(api_url: str | None, token: str | None, settings: Settings | None = None) -> ApiAccess:
    """The API that was named, or the local cloud's, whose administrator signs in.

    Raises:
        LocalCloudError: an API without a token for it, or no local cloud.
    """
    if api_url is not None:
        if token is None:
            raise LocalCloudError("An API that is not the local cloud's needs --token, or ORDERS_TOKEN.")
        return ApiAccess(api_url, token)
    settings = settings or Settings.from_environment()
    running = stack.read(settings)
    if running is None:
        raise LocalCloudError(
            "The local cloud is not up. Start it with make up, or name an API by --api-url."
        )
    return ApiAccess(running["api_url"], token or sign_in(settings, running, "admin").access_token)


def connect(api_url: str | None, token: str | None) -> AbstractContextManager[ApiClient]:
    """A client of that API. Raises as `api_access` does."""
    return ApiClient.connect(*api_access(api_url, token))


@dlq.command("list")
def list_queues(api_url: ApiUrl = None, token: Token = None) -> None:
    """Every queue, and how much of it was given up."""
    with connect(api_url, token) as client:
        queues = client.get("admin/queues")["items"]
    shown = table("Queue", "Waiting", "In flight", "Delayed", "Given up")
    for queue in queues:
        depth, dead = queue["queue"], queue["dlq"]
        given_up = dead["visible"] + dead["inFlight"]
        shown.add_row(
            queue["name"], str(depth["visible"]), str(depth["inFlight"]), str(depth["delayed"]), str(given_up)
        )
    console.print(shown)


@dlq.command("show")
def show_messages(queue: QueueName, api_url: ApiUrl = None, token: Token = None) -> None:
    """Dead letters of a queue, each with why it is there. They stay where they are."""
    with connect(api_url, token) as client:
        messages = client.get(f"admin/dlqs/{queue}/messages")["items"]
    for message in messages:
        console.print(Text(message["messageId"], "bold"), f" {message['cause']}", soft_wrap=True)
        console.print(f"  {message['explanation']}", soft_wrap=True)
        for label, name in _LETTER_FIELDS.items():
            if message[name] is not None:
                console.print(f"  {label:<12}{in_one_line(message[name])}", soft_wrap=True)
        for error in message["errors"]:
            console.print(f"  {'error':<12}{in_one_line(error)}", soft_wrap=True)
    if not messages:
        console.print("Nothing was given up here, or somebody else is looking at it.")


@dlq.command("redrive")
def redrive_messages(
    queue: QueueName,
    message: Annotated[str | None, typer.Argument(metavar="[MESSAGE]", help="The message's id.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All messages of the queue.")] = False,
    note: MaybeNote = None,
    api_url: ApiUrl = None,
    token: Token = None,
) -> None:
    """Send one dead letter, or all of them, back to the queue."""
    if everything == (message is not None):
        raise typer.BadParameter("name one message, or say --all")
    with connect(api_url, token) as client:
        answer = client.post(f"admin/dlqs/{queue}/redrive", messageId=message, note=note)
    if answer["moved"] is None:
        console.print("SQS moves them by itself. Look at it with: bin/orders dlq list")
    else:
        console.print(f"{answer['moved']} sent back to {queue}")


@dlq.command("discard")
def discard_message(
    queue: QueueName, message: MessageId, note: Note, api_url: ApiUrl = None, token: Token = None
) -> None:
    """Delete one dead letter for good."""
    with connect(api_url, token) as client:
        client.post(f"admin/dlqs/{queue}/messages/{message}/discard", note=note)
    console.print(f"{message} is discarded", soft_wrap=True)


@review.command("list")
def list_orders(
    status: Annotated[str, typer.Option(help="NEEDS_REVIEW, PENDING or PROCESSING.")] = "NEEDS_REVIEW",
    api_url: ApiUrl = None,
    token: Token = None,
) -> None:
    """Orders that wait for an operator, oldest first."""
    shown = table("Order", "Status", "Reason", "Total", "Since")
    with connect(api_url, token) as client:
        for order in client.items("admin/orders", status=status):
            shown.add_row(
                order["orderId"],
                order["status"],
                order["failureReason"] or "",
                money(order["totalAmount"], order["currency"]),
                order["updatedAt"],
            )
    console.print(shown if shown.row_count else "No order is there.")


@review.command("show")
def show_order(
    order: OrderId,
    history: Annotated[bool, typer.Option("--history", help="Also the states of its executions.")] = False,
    api_url: ApiUrl = None,
    token: Token = None,
) -> None:
    """One order with all that is known of it, and what may be done."""
    with connect(api_url, token) as client:
        console.print(order_report(client.get(f"admin/orders/{order}")), soft_wrap=True)
        if history:
            for execution in client.items(f"admin/sagas/{order}"):
                console.print(execution_table(execution))


@review.command("resume")
def resume_order(order: OrderId, note: MaybeNote = None, api_url: ApiUrl = None, token: Token = None) -> None:
    """Go on with an order: what could not be undone is tried again."""
    with connect(api_url, token) as client:
        answer: Any = client.post(f"admin/orders/{order}/resume", note=note)
    begun = "has started" if answer["started"] else "will be started by maintenance"
    console.print(f"Order {order} is {answer['status']}: {answer['execution']} {begun}", soft_wrap=True)


@review.command("close")
def close_order(
    order: OrderId,
    end: Annotated[End, typer.Argument(metavar="CONFIRMED|CANCELLED", help="What it ends as.")],
    note: Note,
    api_url: ApiUrl = None,
    token: Token = None,
) -> None:
    """End an order by hand, if its money and its stock are what that end needs."""
    with connect(api_url, token) as client:
        answer = client.post(f"admin/orders/{order}/close", status=end, note=note)
    console.print(f"Order {order} is {answer['status']}", soft_wrap=True)


@outbox.command("dead")
def list_dead_events(api_url: ApiUrl = None, token: Token = None) -> None:
    """Events that could not be published, oldest first."""
    with connect(api_url, token) as client:
        shown = table_of(client.items("admin/outbox"), _EVENT_COLUMNS)
    console.print(shown if shown.row_count else "Every event was published, or will be.")


@outbox.command("redrive")
def redrive_event(
    event: EventId, note: MaybeNote = None, api_url: ApiUrl = None, token: Token = None
) -> None:
    """Publish a dead event after all."""
    with connect(api_url, token) as client:
        client.post(f"admin/outbox/{event}/redrive", note=note)
    console.print(f"{event} is the relay's again", soft_wrap=True)


@app.command("health")
def show_health(api_url: ApiUrl = None, token: Token = None) -> None:
    """Each part of the system. Exit code 0 only if nothing is down."""
    with connect(api_url, token) as client:
        health = client.get("health/detailed")
    console.print(health_table(health))
    if health["status"] == "down":
        raise typer.Exit(1)
