"""What the API of operators returns, as tables for a terminal."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tools.cli.tables import table

_COLOURS: Final = {"up": "green", "degraded": "yellow", "down": "red", "unknown": "dim"}

# By the list's name in the report: its columns, and the fields that they show.
_LISTS: Final = {
    "steps": ("Step", ("name", "status", "attempts", "error", "at")),
    "reservations": ("Reservation of", ("productId", "quantity", "status", "expiresAt")),
    "events": ("Event", ("type", "status", "attempts", "lastError", "eventId")),
    "notifications": ("Notification", ("type", "channel", "status", "attempts", "error", "providerId")),
    "repairs": ("Repair", ("kind", "detail", "at")),
    "actions": ("Operator's action", ("action", "operator", "note", "detail", "at")),
}


def order_report(report: Mapping[str, Any]) -> RenderableType:
    """An order's report."""
    order = report["order"]
    lines: list[RenderableType] = [
        Text(f"Order {order['orderId']}  {order['status']}  {order['failureReason'] or ''}", "bold"),
        Text(
            f"total {order['totalAmount']} {order['currency']} (minor units), correlation {order['correlationId']}"
        ),
        Text(_execution(report["execution"])),
        Text(_payment(order["payment"], report["gateway"])),
        *(_list(*_LISTS[name], order[name]) for name in _LISTS if order[name]),
        Text(f"May be done now: {', '.join(report['actions']) or 'nothing'}"),
    ]
    return Group(*lines)


def execution_table(execution: Mapping[str, Any]) -> RenderableType:
    """One execution and the states that it passed."""
    shown = table("State", "Entered", "Left", "Failed attempts")
    for visit in execution["states"]:
        shown.add_row(visit["state"], visit["enteredAt"], visit["exitedAt"] or "", ", ".join(visit["errors"]))
    return Group(Text(f"\n{_execution(execution)}", "bold"), shown)


def health_table(health: Mapping[str, Any]) -> RenderableType:
    """Each part with its status and what it says of itself."""
    shown = table("Part", "Status", "")
    for name, part in health.items():
        if isinstance(part, Mapping):
            details = ", ".join(f"{key} {value}" for key, value in part.items() if _is_detail(key, value))
            shown.add_row(name, Text(part["status"], _COLOURS[part["status"]]), details)
    return shown


def _is_detail(key: str, value: object) -> bool:
    return key != "status" and value is not None and not isinstance(value, list)


def _list(title: str, fields: tuple[str, ...], items: Iterable[Mapping[str, Any]]) -> Table:
    shown = table(title, *fields[1:])
    for item in items:
        shown.add_row(*("" if item[field] is None else str(item[field]) for field in fields))
    return shown


def _execution(execution: Mapping[str, Any]) -> str:
    error = f": {execution['error']}" if execution["error"] else ""
    return f"execution {execution['name']} {execution['status']}{error}"


def _payment(payment: Mapping[str, Any] | None, gateway: Mapping[str, Any] | None) -> str:
    if payment is None or gateway is None:
        return "no payment"
    return (
        f"payment {payment['status']}, captured {payment['captured']}, refunded {payment['refunded']};"
        f" at the gateway {gateway['status']}"
    )
