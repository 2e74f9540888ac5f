"""The command that shows an order's log lines: `logs`."""

import time
from typing import Annotated, Any, Final

import typer

from tools.cli.api import client
from tools.cli.commands import Commands, console, current, print_json_line, show
from tools.cli.operations import OrderId
from tools.client.http import ApiClient
from tools.console import cell, in_one_line

app = Commands()

_PAUSE_SECONDS: Final = 3.0
_QUIET_SECONDS: Final = 20.0
"""After an order's end: longer than a line takes to arrive."""
_ENDED: Final = frozenset({"CONFIRMED", "CANCELLED", "NEEDS_REVIEW"})
_PAGE: Final = 500


@app.command("logs")
def show_logs(
    order: OrderId,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on until the order has ended and nothing more is logged."),
    ] = False,
) -> None:
    """What the functions have logged of an order. With --follow and --json: one document a line."""
    if follow:
        _follow(order)
        return
    with client(default="admin") as api:
        lines, is_complete = _read(api, order)
    hint = [] if is_complete else ["CloudWatch Logs did not answer for all functions: lines may be missing."]
    show(
        {"items": lines, "isComplete": is_complete},
        *(_in_a_line(line) for line in lines),
        *([] if lines else ["Nothing was logged of it, or nothing is kept any more."]),
        *hint,
    )


def _follow(order: str) -> None:
    """Prints each line once, as it arrives: some arrive late, so that all are looked at each time."""
    printed: set[str] = set()
    heard_at = time.monotonic()
    while True:
        # A token may end meanwhile.
        with client(default="admin") as api:
            lines, _ = _read(api, order)
            status = api.get("admin/orders", orderId=order)["items"][0]["status"]
        for line in lines:
            if (told := repr(line)) not in printed:
                printed.add(told)
                heard_at = time.monotonic()
                if current().as_json:
                    print_json_line(line)
                else:
                    console.print(_in_a_line(line))
        if status in _ENDED and time.monotonic() - heard_at > _QUIET_SECONDS:
            return
        time.sleep(_PAUSE_SECONDS)


def _read(api: ApiClient, order: str) -> tuple[list[dict[str, Any]], bool]:
    """All lines, and whether none may be missing."""
    lines: list[dict[str, Any]] = []
    is_complete = True
    asked: dict[str, Any] = {"limit": _PAGE}
    while True:
        page = api.get(f"admin/orders/{order}/logs", **asked)
        lines += page["items"]
        is_complete = is_complete and page["isComplete"]
        if page["nextCursor"] is None:
            return lines, is_complete
        asked["cursor"] = page["nextCursor"]


def _in_a_line(line: dict[str, Any]) -> str:
    fields = " ".join(f"{name}={value}" for name, value in line["fields"].items() if value is not None)
    told = f"{line['level']:<8} {line['function']:<20} {line['message']}  {fields}"
    return f"{cell('at', line['time'])}  {in_one_line(told)}"
