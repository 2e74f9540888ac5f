"""The commands of somebody who orders: `place`, `show` and `demo`."""

import signal
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Final, NoReturn
from uuid import UUID, uuid4

import typer
from rich.text import Text

from orders.domain import Locale, OrderStatus, Priority
from tools.audit import executions
from tools.cli.account import address_of
from tools.cli.api import connect, run
from tools.cli.order_view import history_of, show_order, watch_order
from tools.client.orders_client import Accepted, Contact, Line, NewOrder, OrdersClient, Product
from tools.cloud import aws, local_cloud
from tools.cloud.settings import Settings
from tools.console import Console, console_of_width, money
from tools.demo import report
from tools.demo.run import run_demo
from tools.errors import LocalCloudError

app = typer.Typer()
console = Console()

# A file or a pipe has no width of its own, and the demonstration's table is unreadable at Rich's default of 80.
_UNSEEN_WIDTH: Final = 140
_INTERRUPTED: Final = 130
"""What shells report for a command that ended by Ctrl-C."""

User = Annotated[
    str, typer.Option("--user", help="Who orders: customer, other, admin, or me after bin/orders login.")
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
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow the order to its end.")] = False,
    user: User = "customer",
) -> None:
    """Place an order; without options, one unit of the first product."""
    settings = Settings.from_environment()

    async def order() -> Accepted:
        async with connect(OrdersClient, settings, user) as client:
            lines = lines_of(await client.products(), product or [], quantity or [])
            new = NewOrder(
                items=tuple(Line(product_id=chosen.product_id, quantity=number) for chosen, number in lines),
                currency=lines[0][0].currency,
                payment_method=payment_method,
                contact=Contact(email=email or address_of(settings, user), phone=phone, locale=locale),
                priority=priority,
            )
            return await client.place(new, key or str(uuid4()))

    accepted = run(order())
    again = " (placed before under this key)" if accepted.replayed else ""
    console.print(
        f"Order {accepted.order_id} accepted{again}: {money(accepted.total_amount, accepted.currency)}"
    )
    if watch:
        _exit_by(_show(settings, accepted.order_id, user, watch=True))
    else:
        console.print(f"Follow it: bin/orders show {accepted.order_id} --watch")


@app.command()
def show(
    order_id: Annotated[UUID, typer.Argument(metavar="ORDER", help="The order's id.")],
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Also the states that its execution passed, attempt by attempt.")
    ] = False,
    user: User = "customer",
) -> None:
    """Show an order with the steps of its saga. Exit code 0 unless it needs review or there is no such order."""
    settings = Settings.from_environment()
    stack = local_cloud.require_up(settings)
    status = _show(settings, order_id, user, watch=watch)
    if history:
        execution = executions.execution_arn(stack["state_machine_arn"], order_id)
        console.print(Text("Execution", "bold"), execution, soft_wrap=True)
        console.print(history_of(executions.visits(aws.sagas(settings), execution)))
    _exit_by(status)


@app.command("demo")
def show_demo() -> None:
    """Run the demonstration; starts the local cloud for it, and stops it again, unless it is up already."""
    settings = Settings.from_environment()
    screen = console_of_width(_UNSEEN_WIDTH)
    was_up = local_cloud.find_up(settings) is not None
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        stack = local_cloud.up(settings, screen.print)
        screen.print()
        outcome = run_demo(settings, stack, screen)
        report.show(outcome, screen)
    except KeyboardInterrupt:
        screen.print("\nInterrupted.")
        raise typer.Exit(_INTERRUPTED) from None
    finally:
        if not was_up:
            local_cloud.down(settings, screen.print)
    report.show_next(settings, stack, screen, is_up=was_up)
    report.show_outcome(outcome, settings, screen)
    if outcome.failures:
        raise typer.Exit(1)


def _show(settings: Settings, order_id: UUID, user: str, *, watch: bool) -> OrderStatus:
    async def follow() -> OrderStatus:
        async with connect(OrdersClient, settings, user) as client:
            look = watch_order if watch else show_order
            return await look(client, order_id, console)

    return run(follow())


def _exit_by(status: OrderStatus) -> None:
    if status is OrderStatus.NEEDS_REVIEW:
        raise typer.Exit(1)


def _interrupt(signal_number: int, frame: FrameType | None) -> NoReturn:
    """A polite kill is an interrupt like Ctrl-C: the cloud that was started for the demonstration is stopped."""
    raise KeyboardInterrupt


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
