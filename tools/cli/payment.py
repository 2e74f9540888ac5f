"""What a customer does at the payment gateway of the local cloud: `payment complete` and `payment fail`."""

from typing import Annotated
from uuid import UUID

import typer

from tools.cli.commands import Commands, show
from tools.cloud.settings import Settings

app = Commands(
    name="payment",
    help="What the customer does whose payment needs them.",
    no_args_is_help=True,
)

Order = Annotated[UUID, typer.Argument(metavar="ORDER", help="The order's id.")]


@app.command(on="local")
def complete(order_id: Order) -> None:
    """Authenticate the payment of an order that waits for its customer: it is captured."""
    _act(order_id, completes=True)
    show({"orderId": str(order_id), "completed": True}, "Authenticated: the payment is captured.")


@app.command(on="local")
def fail(order_id: Order) -> None:
    """Fail to authenticate it: it is declined, and the order is cancelled."""
    _act(order_id, completes=False)
    show({"orderId": str(order_id), "completed": False}, "Not authenticated: the payment is declined.")


def _act(order_id: UUID, *, completes: bool) -> None:
    from tools.cloud.customers import Act, act

    act(Settings.from_environment(), order_id, Act.COMPLETE if completes else Act.FAIL)
