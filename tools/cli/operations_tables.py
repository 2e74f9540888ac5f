"""What the API of operators returns, as tables for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from tools.console import money, table, table_of

_COLOURS: Final = {"up": "green", "degraded": "yellow", "down": "red", "unknown": "dim"}


def _columns(title: str, first: str, *others: str) -> dict[str, str]:
    """Columns that are named as the fields that they show, but for the first."""
    return {title: first} | {name: name for name in others}


# By the list's name in the report.
_LISTS: Final = {
    "steps": _columns("Step", "name", "status", "attempts", "error", "at"),
    "reservations": _columns("Reservation of", "productId", "quantity", "status", "expiresAt"),
    "events": _columns("Event", "type", "status", "attempts", "lastError", "eventId"),
    "notifications": _columns("Notification", "type", "channel", "status", "attempts", "error", "providerId"),
    "repairs": _columns("Repair", "kind", "detail", "at"),
    "actions": _columns("Operator's action", "action", "operator", "note", "detail", "at"),
}


def order_report(report: Mapping[str, Any]) -> RenderableType:
    """An order's report."""
    order = report["order"]
    lines: list[RenderableType] = [
        Text(f"Order {order['orderId']}  {order['status']}  {order['failureReason'] or ''}", "bold"),
        Text(f"total {money(order['totalAmount'], order['currency'])}, correlation {order['correlationId']}"),
        Text(_execution(report["execution"])),
        Text(_payment(order["payment"], report["gateway"], order["currency"])),
        *(Text(line, "bold") for line in _review(report["review"])),
        *(table_of(order[name], columns) for name, columns in _LISTS.items() if order[name]),
        *_possibilities(report["operatorActions"]),
    ]
    return Group(*lines)


def execution_table(execution: Mapping[str, Any]) -> RenderableType:
    """One execution and the states that it passed."""
    shown = table("State", "Entered", "Left", "Failed attempts")
    for visit in execution["states"]:
        shown.add_row(visit["state"], visit["enteredAt"], visit["exitedAt"] or "", ", ".join(visit["errors"]))
    return Group(Text(f"\n{_execution(execution)}", "bold"), shown)


def health_table(health: Mapping[str, Any]) -> RenderableType:
    """Each part with its status, why it is not up, and what it says of itself."""
    shown = table("Part", "Status", "Why", "")
    for name, part in health.items():
        if isinstance(part, Mapping):
            details = ", ".join(f"{key} {value}" for key, value in part.items() if _is_detail(key, value))
            shown.add_row(
                name, Text(part["status"], _COLOURS[part["status"]]), Text(part["reason"] or ""), details
            )
    return shown


def _is_detail(key: str, value: object) -> bool:
    return key not in ("status", "reason") and value is not None and not isinstance(value, list)


def _review(review: Mapping[str, Any] | None) -> list[str]:
    """Why the order is under review, a line for each reason, and what to do first."""
    if review is None:
        return []
    reasons = [f"  {reason['text']}" for reason in review["reasons"]]
    return ["Under review:", *reasons, f"  suggested: {review['suggested']}"]


def _possibilities(actions: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    possible = [each["action"] for each in actions if each["isPossible"]]
    return [
        Text(f"May be done now: {', '.join(possible) or 'nothing'}"),
        *(
            Text(f"  not {each['action']}: {each['reason']}", "dim")
            for each in actions
            if not each["isPossible"]
        ),
    ]


def _execution(execution: Mapping[str, Any]) -> str:
    error = f": {execution['error']}" if execution["error"] else ""
    return f"execution {execution['name']} {execution['status']}{error}"


def _payment(payment: Mapping[str, Any] | None, gateway: Mapping[str, Any] | None, currency: str) -> str:
    if payment is None or gateway is None:
        return "no payment"
    return (
        f"payment {payment['status']}, captured {money(payment['captured'], currency)},"
        f" refunded {money(payment['refunded'], currency)};"
        f" at the gateway {gateway['status']}"
    )
