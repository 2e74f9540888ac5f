"""The commands of operators about refunds: `refund`, `refunds`, and what is done about one that needs review."""

import json
from typing import Annotated, Any, Final
from uuid import uuid4

import typer

from tools.cli.api import client
from tools.cli.commands import Commands, listing, show
from tools.cli.operations import MaybeNote, Note, OrderId
from tools.console import in_one_line, money

app = Commands()

RefundId = Annotated[str, typer.Argument(metavar="REFUND", help="The refund's id.")]

_COLUMNS: Final = {
    "Refund": "refundId",
    "Order": "orderId",
    "Status": "status",
    "Amount": "shownAmount",
    "Lines": "shownLines",
    "Reason": "reason",
    "Error": "error",
    "Since": "updatedAt",
}


@app.command()
def refund(
    order: OrderId,
    reason: Annotated[str, typer.Option(help="For operators; it is kept, so it should name no customer.")],
    line: Annotated[
        list[str] | None,
        typer.Option("--line", metavar="PRODUCT=QTY", help="Units of a product; may be given several times."),
    ] = None,
    amount: Annotated[int | None, typer.Option(help="In minor units of the order's currency.")] = None,
    restock: Annotated[bool, typer.Option("--restock", help="Put the units back to stock.")] = False,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key; a new one unless given.")] = None,
) -> None:
    """Refund lines of a confirmed order, an amount, or, with neither, all that is left."""
    if line and amount is not None:
        raise typer.BadParameter("give lines or an amount, not both")
    asked: dict[str, Any] = {"amount": amount, "restock": restock or None}
    if line:
        asked["lines"] = [_line(each) for each in line]
    with client(default="admin") as api:
        granted = api.post_once(f"admin/orders/{order}/refunds", key or str(uuid4()), reason=reason, **asked)
    show(
        granted,
        f"{money(granted['amount'], granted['currency'])} of order {order} is being refunded: {granted['refundId']}",
        f"Follow it with: bin/orders refunds {order}",
    )


@app.command("refunds")
def list_refunds(
    order: Annotated[str | None, typer.Argument(metavar="[ORDER]", help="The order's id.")] = None,
) -> None:
    """An order's refunds; without an order, those of all orders that need review."""
    path = "admin/refunds" if order is None else f"admin/orders/{order}/refunds"
    with client(default="admin") as api:
        found = list(api.items(path))
    rows = [
        each
        | {
            "shownAmount": money(each["amount"], each["currency"]),
            "shownLines": ", ".join(f"{line['quantity']} × {line['productId']}" for line in each["lines"]),
        }
        for each in found
    ]
    show({"items": found}, listing(rows, _COLUMNS) if rows else "No refund is there.")


@app.command("refund-resume")
def resume(order: OrderId, refund: RefundId, note: MaybeNote = None) -> None:
    """Try a refund under review again. What has happened does not happen twice."""
    with client(default="admin") as api:
        resumed = api.post(f"admin/orders/{order}/refunds/{refund}/resume", note=note)
    show(resumed, f"{resumed['execution']} goes on with it")


@app.command("refund-reject")
def reject(order: OrderId, refund: RefundId, note: Note) -> None:
    """Take back a refund under review that the payment provider has not given."""
    with client(default="admin") as api:
        rejected = api.post(f"admin/orders/{order}/refunds/{refund}/reject", note=note)
    show(
        rejected,
        f"{refund} is {rejected['status']}; its error was: {in_one_line(rejected['error'] or 'none')}",
    )


def _line(given: str) -> dict[str, Any]:
    product, _, quantity = given.rpartition("=")
    if not product or not quantity.isdecimal():
        raise typer.BadParameter(f"{json.dumps(given)} is not PRODUCT=QTY")
    return {"productId": product, "quantity": int(quantity)}
