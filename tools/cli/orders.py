"""The commands of somebody who orders: `place`, `show`, `cancel`, `list` and `demo`."""

from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

import typer
from rich.console import RenderableType
from rich.text import Text

from orders.domain import CancellationOutcome, Locale, OrderStatus, Priority
from tools.cli.api import address_of, client, connect, run
from tools.cli.commands import Commands, console, current, listing, notes, show
from tools.cli.order_view import history_of, picture_of, watch_order
from tools.cli.target import find_target
from tools.client.orders_client import (
    Accepted,
    Cancelled,
    Contact,
    Line,
    NewOrder,
    OrderDetail,
    OrdersClient,
    Product,
    Progress,
)
from tools.cloud import aws, local_cloud
from tools.cloud.settings import Settings
from tools.console import Console, console_of_width, money
from tools.errors import LocalCloudError, Misused

app = Commands()

_CANCELLED: Final = {
    CancellationOutcome.CANCELLING: "Order {0.order_id} is being cancelled. Follow it: "
    "bin/orders show {0.order_id} --watch",
    CancellationOutcome.REFUNDING: "Order {0.order_id} was confirmed, and is refunded: {0.refund_id}",
}

# A file or a pipe has no width of its own, and the demonstration's table is unreadable at Rich's default of 80.
_UNSEEN_WIDTH: Final = 140

User = Annotated[
    str | None,
    typer.Option(
        "--user", help="Who orders: customer (the default), other or admin; me after bin/orders login."
    ),
]


@app.command()
def place(
    product: Annotated[
        list[str] | None,
        typer.Option("--product", "-p", help="Id or beginning of the name. Repeat it for more lines."),
    ] = None,
    quantity: Annotated[
        list[int] | None, typer.Option("--quantity", "-q", help="One for each --product, in their order.")
    ] = None,
    payment_method: Annotated[
        str, typer.Option("--payment-method", "-m", help="pm_card_visa, …_declined, …_fraud, …_flaky, …")
    ] = "pm_card_visa",
    key: Annotated[str | None, typer.Option(help="Idempotency-Key; a new one unless given.")] = None,
    locale: Annotated[Locale, typer.Option(help="Language of the mails.")] = Locale.EN,
    email: Annotated[
        str | None,
        typer.Option(help="Where the mails go: the account's own address, or see bin/orders recipients."),
    ] = None,
    phone: Annotated[
        str | None, typer.Option(help="Where text messages go, e.g. +34600123456; see bin/orders recipients.")
    ] = None,
    priority: Annotated[
        Priority, typer.Option(help="Under a backlog, urgent orders are started first: for --user admin.")
    ] = Priority.NORMAL,
    expect_total: Annotated[
        int | None,
        typer.Option(help="Place it only if it costs this much, in minor units: 12900 is 129.00 USD."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow the order to its end.")] = False,
    user: User = None,
) -> None:
    """Place an order; without options, one unit of the first product."""
    order_key = key or str(uuid4())

    async def order() -> tuple[Accepted, Progress | None]:
        async with connect(OrdersClient, user) as api:
            lines = lines_of(await api.products(), product or [], quantity or [])
            new = NewOrder(
                items=tuple(Line(product_id=chosen.product_id, quantity=number) for chosen, number in lines),
                currency=lines[0][0].currency,
                payment_method=payment_method,
                contact=Contact(email=email or address_of(user), phone=phone, locale=locale),
                priority=priority,
                expected_total_amount=expect_total,
            )
            accepted = await api.place(new, order_key)
            again = " (placed before under this key)" if accepted.replayed else ""
            amount = money(accepted.total_amount, accepted.currency)
            # Said before it is followed: an interrupted command has told its order.
            console.print(f"Order {accepted.order_id} accepted{again}: {amount}")
            return accepted, await watch_order(api, accepted.order_id, _terminal()) if watch else None

    accepted, progress = run(order())
    if progress is None:
        show(_document(accepted), f"Follow it: bin/orders show {accepted.order_id} --watch")
    else:
        show(_document(accepted) | _document(progress))
        _exit_by(progress.status)


@app.command("show")
def show_one(
    order_id: Annotated[UUID, typer.Argument(metavar="ORDER", help="The order's id.")],
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Also the states that its execution passed, attempt by attempt.")
    ] = False,
    user: User = None,
) -> None:
    """Show an order as it was sold, with the steps of its saga. Exit code 0 unless it needs review or there is none."""
    settings = Settings.from_environment()
    if history and not find_target(settings).is_local:
        raise Misused(
            f"--history reads the local cloud's Step Functions. Elsewhere: bin/orders review show {order_id} --history"
        )

    async def look() -> tuple[OrderDetail, Progress]:
        async with connect(OrdersClient, user) as api:
            order = await api.order(order_id)
            return order, await (watch_order(api, order_id, _terminal()) if watch else api.progress(order_id))

    order, progress = run(look())
    document = _document(progress) | _document(order)
    lines = [*([] if watch else [picture_of(progress)]), *_sold(order)]
    if history:
        from tools.audit import executions

        execution = executions.execution_arn(local_cloud.require_up(settings)["state_machine_arn"], order_id)
        visits = list(executions.visits(aws.sagas(settings), execution))
        document["history"] = [
            {"state": visit.state, "errors": list(visit.errors), "succeeded": visit.succeeded}
            for visit in visits
        ]
        lines += [Text.assemble(("Execution ", "bold"), execution), history_of(visits)]
    show(document, *lines)
    _exit_by(progress.status)


@app.command()
def cancel(
    order_id: Annotated[UUID, typer.Argument(metavar="ORDER", help="The order's id.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow the order to its end.")] = False,
    note: Annotated[
        str | None, typer.Option("--note", "-n", help="Why an administrator cancels it; it is kept.")
    ] = None,
    user: User = None,
) -> None:
    """Cancel an order: at its next step, or with a refund for some time after it was confirmed."""
    if not yes:
        typer.confirm(f"Cancel order {order_id}?", abort=True)

    async def ask() -> tuple[Cancelled, Progress | None]:
        async with connect(OrdersClient, user) as api:
            cancelled = await api.cancel(order_id, note)
            console.print(_CANCELLED[cancelled.outcome].format(cancelled))
            return cancelled, await watch_order(api, order_id, _terminal()) if watch else None

    cancelled, progress = run(ask())
    if progress is None:
        show(_document(cancelled))
    else:
        show(_document(cancelled) | _document(progress))
        _exit_by(progress.status)


@app.command("list")
def show_own(
    status: Annotated[OrderStatus | None, typer.Option(help="Only those that stand so.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="All of them, page after page.")] = False,
    user: User = None,
) -> None:
    """List your own orders, newest first."""
    wanted: dict[str, str | int] = {} if status is None else {"status": status}
    page: dict[str, Any]
    with client(user) as api:
        if everything:
            page = {"items": list(api.items("orders", limit=100, **wanted)), "nextCursor": None}
        else:
            page = api.get("orders", limit=limit, **wanted)
    shown = [order | {"total": money(order["totalAmount"], order["currency"])} for order in page["items"]]
    columns = {
        "Order": "orderId",
        "Status": "status",
        "Reason": "failureReason",
        "Placed": "createdAt",
        "Total": "total",
    }
    show(page, listing(shown, columns, numbers=("Total",)) if shown else "There are no such orders.")
    if page["nextCursor"] is not None:
        notes.print("There are more: --all")


@app.command("demo", on="local")
def show_demo() -> None:
    """Run the demonstration; starts the local cloud for it, and stops it again, unless it is up already."""
    from tools.demo import report
    from tools.demo.run import run_demo

    settings = Settings.from_environment()
    screen = console_of_width(_UNSEEN_WIDTH)
    was_up = local_cloud.find_up(settings) is not None
    try:
        stack = local_cloud.up(settings, screen.print)
        screen.print()
        outcome = run_demo(settings, stack, screen)
        report.show(outcome, screen)
    except KeyboardInterrupt:
        screen.print("\nInterrupted.")
        raise
    finally:
        if not was_up:
            local_cloud.down(settings, screen.print)
    report.show_next(settings, stack, screen, is_up=was_up)
    report.show_outcome(outcome, settings, screen)
    show({"ok": not outcome.failures, "failures": list(outcome.failures)})
    if outcome.failures:
        raise typer.Exit(1)


def _sold(order: OrderDetail) -> list[RenderableType]:
    lines = [
        line.model_dump(by_alias=True)
        | {
            "price": money(line.unit_price, order.currency),
            "amount": money(line.quantity * line.unit_price, order.currency),
        }
        for line in order.items
    ]
    columns = {
        "Id": "productId",
        "Product": "productName",
        "Quantity": "quantity",
        "Price": "price",
        "Amount": "amount",
    }
    total = money(order.total_amount, order.currency)
    return [
        listing(lines, columns, numbers=("Quantity", "Price", "Amount")),
        Text.assemble(("Total ", "bold"), total),
    ]


def _document(body: Accepted | Cancelled | OrderDetail | Progress) -> dict[str, object]:
    return body.model_dump(mode="json", by_alias=True)


def _terminal() -> Console:
    """For a picture that moves, on standard error if standard output is for a program."""
    return Console(stderr=current().as_json)


def _exit_by(status: OrderStatus) -> None:
    if status is OrderStatus.NEEDS_REVIEW:
        raise typer.Exit(1)


def lines_of(
    products: Sequence[Product], names: Sequence[str], quantities: Sequence[int]
) -> list[tuple[Product, int]]:
    """What to order: each named product with its quantity, or 1. Without a name, the first product.

    Raises:
        typer.BadParameter: there are more quantities than products.
        LocalCloudError: there is no such product.
    """
    chosen = [_choose(products, name) for name in names or ("",)]
    if len(quantities) > len(chosen):
        raise typer.BadParameter("more of them than products", param_hint="--quantity")
    missing = [1] * (len(chosen) - len(quantities))
    return list(zip(chosen, [*quantities, *missing], strict=True))


def _choose(products: Sequence[Product], name: str) -> Product:
    """The product with this id or this beginning of a name; any name begins with nothing, so that is the first."""
    for product in products:
        if str(product.product_id) == name or product.name.lower().startswith(name.lower()):
            return product
    names = "".join(f"\n  {product.name}" for product in products)
    raise LocalCloudError(f"No product has the id {name!r} or a name that begins so. There are:{names}")
