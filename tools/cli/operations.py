"""The commands of operators: `dlq`, `review`, `outbox`, `resend`, `redeliver`, `payments` and `health`.

docs/operations.md says when to use which.
"""

from itertools import islice
from typing import Annotated, Any, Final, Literal, TypeAlias

import typer
from rich.console import RenderableType
from rich.text import Text

from tools.cli.api import client
from tools.cli.commands import Commands, listing, notes, show
from tools.cli.operations_tables import execution_table, health_table, order_report
from tools.console import cell, in_one_line, money

app = Commands()
dlq = Commands(help="Messages that were given up.", no_args_is_help=True)
review = Commands(help="Orders that wait for an operator.", no_args_is_help=True)
outbox = Commands(help="Events that could not be published.", no_args_is_help=True)
app.add_typer(dlq, name="dlq")
app.add_typer(review, name="review")
app.add_typer(outbox, name="outbox")

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
_QUEUE_COLUMNS: Final = {
    "Queue": "name",
    "Waiting": "visible",
    "In flight": "inFlight",
    "Delayed": "delayed",
    "Oldest": "age",
    "Given up": "givenUp",
}
_ORDER_COLUMNS: Final = {
    "Order": "orderId",
    "Status": "status",
    "Reason": "failureReason",
    "Total": "total",
    "Since": "updatedAt",
}
_EVENT_COLUMNS: Final = {
    "Event": "eventId",
    "Type": "type",
    "Order": "orderId",
    "Attempts": "attempts",
    "Last error": "lastError",
}

_PAYMENT_COLUMNS: Final = {
    "Order": "orderId",
    "Is": "orderStatus",
    "Payment": "status",
    "Amount": "amount",
    "Captured": "captured",
    "Refunded": "refunded",
    "Changed": "updatedAt",
    "Look at it": "finding",
}


@dlq.command("list")
def list_queues() -> None:
    """Every queue, and how much of it was given up."""
    with client(default="admin") as api:
        queues = api.get("admin/queues")["items"]
    rows = [
        queue["queue"]
        | {
            "name": queue["name"],
            "age": "-" if (age := queue["oldestMessageAgeSeconds"]) is None else f"{age} s",
            "givenUp": queue["dlq"]["visible"] + queue["dlq"]["inFlight"],
        }
        for queue in queues
    ]
    show({"items": queues}, listing(rows, _QUEUE_COLUMNS))


@dlq.command("show")
def show_messages(queue: QueueName) -> None:
    """Dead letters of a queue, each with why it is there. They stay where they are."""
    with client(default="admin") as api:
        messages = api.get(f"admin/dlqs/{queue}/messages")["items"]
    lines: list[RenderableType] = []
    for message in messages:
        lines.append(Text.assemble((message["messageId"], "bold"), f"  {message['cause']}"))
        lines.append(f"  {message['explanation']}")
        lines += [
            f"  {label:<12}{cell(name, message[name])}"
            for label, name in _LETTER_FIELDS.items()
            if message[name] is not None
        ]
        lines += [f"  {'error':<12}{in_one_line(error)}" for error in message["errors"]]
    show({"items": messages}, *(lines or ["Nothing was given up here, or somebody else is looking at it."]))


@dlq.command("redrive")
def redrive_messages(
    queue: QueueName,
    message: Annotated[str | None, typer.Argument(metavar="[MESSAGE]", help="The message's id.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All messages of the queue.")] = False,
    note: MaybeNote = None,
) -> None:
    """Send one dead letter, or all of them, back to the queue."""
    if everything == (message is not None):
        raise typer.BadParameter("name one message, or say --all")
    with client(default="admin") as api:
        answer = api.post(f"admin/dlqs/{queue}/redrive", messageId=message, note=note)
    is_moving = answer["moved"] is None
    show(
        answer,
        "SQS moves them by itself. Look at it with: bin/orders dlq list"
        if is_moving
        else f"{answer['moved']} sent back to {queue}",
    )


@dlq.command("discard")
def discard_message(queue: QueueName, message: MessageId, note: Note) -> None:
    """Delete one dead letter for good."""
    with client(default="admin") as api:
        api.post(f"admin/dlqs/{queue}/messages/{message}/discard", note=note)
    show({"messageId": message}, f"{message} is discarded")


@review.command("list")
def list_orders(
    status: Annotated[str, typer.Option(help="NEEDS_REVIEW, PENDING or PROCESSING.")] = "NEEDS_REVIEW",
) -> None:
    """Orders that wait for an operator, oldest first."""
    with client(default="admin") as api:
        orders = list(api.items("admin/orders", status=status, sort="oldest"))
    rows = [order | {"total": money(order["totalAmount"], order["currency"])} for order in orders]
    show({"items": orders}, listing(rows, _ORDER_COLUMNS) if rows else "No order is there.")


@review.command("show")
def show_order(
    order: OrderId,
    history: Annotated[bool, typer.Option("--history", help="Also the states of its executions.")] = False,
) -> None:
    """One order with all that is known of it, and what may be done."""
    with client(default="admin") as api:
        report = api.get(f"admin/orders/{order}")
        executions = list(api.items(f"admin/sagas/{order}")) if history else []
    document = report | ({"executions": executions} if history else {})
    show(document, order_report(report), *(execution_table(execution) for execution in executions))


@review.command("resume")
def resume_order(order: OrderId, note: MaybeNote = None) -> None:
    """Go on with an order: what could not be undone is tried again."""
    with client(default="admin") as api:
        answer: Any = api.post(f"admin/orders/{order}/resume", note=note)
    begun = "has started" if answer["started"] else "will be started by maintenance"
    show(answer, f"Order {order} is {answer['status']}: {answer['execution']} {begun}")


@review.command("close")
def close_order(
    order: OrderId,
    end: Annotated[End, typer.Argument(metavar="CONFIRMED|CANCELLED", help="What it ends as.")],
    note: Note,
) -> None:
    """End an order by hand, if its money and its stock are what that end needs."""
    with client(default="admin") as api:
        answer = api.post(f"admin/orders/{order}/close", status=end, note=note)
    show(answer, f"Order {order} is {answer['status']}")


@outbox.command("dead")
def list_dead_events() -> None:
    """Events that could not be published, oldest first."""
    with client(default="admin") as api:
        events = list(api.items("admin/outbox"))
    show(
        {"items": events},
        listing(events, _EVENT_COLUMNS) if events else "Every event was published, or will be.",
    )


@outbox.command("redrive")
def redrive_event(
    event: Annotated[str | None, typer.Argument(metavar="[EVENT]", help="The event's id.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead events.")] = False,
    note: MaybeNote = None,
) -> None:
    """Publish a dead event, or all of them, after all."""
    if everything == (event is not None):
        raise typer.BadParameter("name one event, or say --all")
    if event is not None:
        with client(default="admin") as api:
            api.post(f"admin/outbox/{event}/redrive", note=note)
        show({"eventId": event}, f"{event} is the relay's again")
        return
    redriven, left = 0, 1
    with client(default="admin") as api:
        while left:
            answer = api.post("admin/outbox/redrive", note=note)
            redriven, left = redriven + answer["redriven"], answer["left"]
            if left:
                notes.print(f"{redriven} redriven, {left} left")
    show({"redriven": redriven, "left": left}, f"{redriven} are the relay's again")


@outbox.command("discard")
def discard_event(event: EventId, note: Note) -> None:
    """Delete a dead event for good. A message that it asks for is marked as failed."""
    with client(default="admin") as api:
        api.post(f"admin/outbox/{event}/discard", note=note)
    show({"eventId": event}, f"{event} is discarded")


@app.command("resend")
def resend_notification(
    order: OrderId,
    kind: Annotated[
        str,
        typer.Argument(metavar="TYPE", help="Which message, as review show has it, e.g. order_confirmed."),
    ],
    channel: Annotated[Literal["email", "sms"], typer.Option(help="How it is sent.")] = "email",
    refund: Annotated[
        str | None, typer.Option(metavar="ID", help="Of order_refunded: the refund that it tells of.")
    ] = None,
    note: MaybeNote = None,
) -> None:
    """Send a mail or a text message of an order again."""
    with client(default="admin") as api:
        sent = api.post(
            f"admin/orders/{order}/notifications", type=kind, channel=channel, refundId=refund, note=note
        )
    show(
        sent,
        f"{kind} by {channel} is {sent['status']} again. What becomes of it: bin/orders review show {order}",
    )


@app.command("redeliver")
def redeliver_of_order(
    order: OrderId,
    delivery: Annotated[
        str, typer.Argument(metavar="DELIVERY", help="The delivery's id, as timeline has it.")
    ],
    note: MaybeNote = None,
) -> None:
    """Send a delivery of an order to its customer's webhook again."""
    with client(default="admin") as api:
        again = api.post(f"admin/orders/{order}/deliveries/{delivery}/redeliver", note=note)
    show(again, f"It is {again['status']} and will be sent again now.")


@app.command("payments")
def list_payments(
    status: Annotated[
        str | None, typer.Option(help="E.g. UNKNOWN; or CONFLICT: books that disagree with the order's end.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
) -> None:
    """Payments of all orders; first those that somebody should look at."""
    asked: dict[str, Any] = {} if status is None else {"status": status}
    with client(default="admin") as api:
        payments = list(islice(api.items("admin/payments", **asked, limit=min(limit, 100)), limit))
    rows = [
        payment
        | {name: money(payment[name], payment["currency"]) for name in ("amount", "captured", "refunded")}
        for payment in payments
    ]
    show({"items": payments}, listing(rows, _PAYMENT_COLUMNS) if rows else "No payment is like that.")


@app.command("health")
def show_health() -> None:
    """Each part of the system. Exit code 0 only if nothing is down."""
    with client(default="admin") as api:
        health = api.get("health/detailed")
    show(health, health_table(health))
    if health["status"] == "down":
        raise typer.Exit(1)
