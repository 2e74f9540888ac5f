"""The commands that look at all orders: `find`, `timeline`, `queues` and `stats`."""

from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import typer

from tools.cli.api import client
from tools.cli.commands import Commands, listing, show
from tools.cli.operations import OrderId, list_queues
from tools.console import in_one_line, money
from tools.errors import Misused

app = Commands()
app.command("queues")(list_queues)

Sort: TypeAlias = Literal["newest", "oldest"]

_COLUMNS: Final = {
    "Order": "orderId",
    "Status": "status",
    "Reason": "failureReason",
    "Total": "total",
    "Placed": "createdAt",
    "Changed": "updatedAt",
}
_STORY_COLUMNS: Final = {"Time": "at", "What": "title", "Status": "status", "More": "more"}
# What the title, the status and the time say already, and what only a program needs.
_SAID: Final = frozenset({"name", "state", "status", "kind", "type", "channel", "action", "at"})


@app.command("find")
def find_orders(
    order: Annotated[str | None, typer.Option(metavar="ID", help="The order's id.")] = None,
    email: Annotated[str | None, typer.Option(help="The customer's, as the order has it.")] = None,
    phone: Annotated[str | None, typer.Option(help="The customer's, e.g. +34600123456.")] = None,
    key: Annotated[str | None, typer.Option(help="The idempotency key of its request.")] = None,
    correlation: Annotated[str | None, typer.Option(metavar="ID", help="Its correlation id.")] = None,
    status: Annotated[str | None, typer.Option(help="E.g. CANCELLED.")] = None,
    reason: Annotated[str | None, typer.Option(help="Its failure reason, e.g. PAYMENT_DECLINED.")] = None,
    product: Annotated[str | None, typer.Option(metavar="ID", help="A product of one of its lines.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Placed then or later (RFC 3339).")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Placed before that.")] = None,
    sort: Annotated[Sort, typer.Option(help="Which come first.")] = "newest",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Write them there as CSV, all of them."),
    ] = None,
) -> None:
    """Find orders of all customers for which all that is given is true."""
    asked = {
        "orderId": order,
        "email": email,
        "phone": phone,
        "idempotencyKey": key,
        "correlationId": correlation,
        "status": status,
        "failureReason": reason,
        "productId": product,
        "from": since,
        "to": until,
        "sort": sort,
    }
    query: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if csv is not None:
        _export(csv, query)
        return
    with client(default="admin") as api:
        found = list(islice(api.items("admin/orders", **query, limit=min(limit, 100)), limit))
    rows = [order | {"total": money(order["totalAmount"], order["currency"])} for order in found]
    show({"items": found}, listing(rows, _COLUMNS) if rows else "No order is like that.")


@app.command("timeline")
def show_timeline(order: OrderId) -> None:
    """All that happened to an order, in the order of time."""
    with client(default="admin") as api:
        story = api.get(f"admin/orders/{order}/timeline")
    rows = [item | {"at": item["time"], "more": _more(item["detail"])} for item in story["items"]]
    hint = [] if story["executionsKnown"] else ["Step Functions did not answer: the executions are missing."]
    show(story, listing(rows, _STORY_COLUMNS), *hint)


@app.command("stats")
def show_stats() -> None:
    """The system in numbers: orders now and in the last hour, and what waits."""
    with client(default="admin") as api:
        stats = api.get("admin/stats")
    relay = stats["relay"]
    rows = [
        *({"what": f"orders {name} now", "number": stats["orders"][name]} for name in _OPEN),
        *({"what": f"orders {name} of the last hour", "number": n} for name, n in stats["lastHour"].items()),
        {"what": "sagas in flight", "number": stats["sagasInFlight"]},
        {"what": "events to publish", "number": relay["pending"]},
        {"what": "the oldest of them waits for, in seconds", "number": relay["lagSeconds"]},
        {"what": "events that could not be published", "number": relay["dead"]},
        {"what": "unknown payments", "number": stats["unknownPayments"]},
        {"what": "refunds under review", "number": stats["refunds"]["needsReview"]},
        {"what": "products that are low on stock", "number": stats["lowStockProducts"]},
        {"what": "payment circuit", "number": stats["paymentGateway"]["state"]},
    ]
    show(stats, listing(rows, {"What": "what", "Number": "number"}, numbers=["Number"]))


_OPEN: Final = ("pending", "processing", "needsReview")


def _export(path: Path, query: dict[str, Any]) -> None:
    """Writes the orders to the file.

    Raises:
        Misused: it cannot be written.
    """
    written = 0
    try:
        with path.open("w", encoding="utf-8", newline="") as file, client(default="admin") as api:
            for document in api.csv_documents("admin/orders", **query):
                head, end, lines = document.partition("\r\n")
                # There is one heading, however many documents they came in.
                file.write(lines if written else head + end + lines)
                written += lines.count("\r\n")
    except OSError as error:
        raise Misused(f"{path} cannot be written: {error.strerror}") from error
    show({"file": str(path), "orders": written}, f"{written} orders are in {path}.")


def _more(detail: dict[str, Any]) -> str:
    """The short values of an item's detail, in one line."""
    told = (
        f"{name}={'; '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in detail.items()
        if name not in _SAID
        and not name.endswith("At")
        and value not in (None, "", [])
        and not (isinstance(value, list) and isinstance(value[0], dict))
    )
    return in_one_line(" ".join(told))
