"""The style of everything that is printed on a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from orders.domain import OrderStatus

COLOURS: Final = {
    OrderStatus.PENDING: "cyan",
    OrderStatus.PROCESSING: "cyan",
    OrderStatus.CONFIRMED: "green",
    OrderStatus.CANCELLED: "yellow",
    OrderStatus.NEEDS_REVIEW: "red",
}
"""Of an order's status."""
TICK: Final = "[green]✓[/green]"
CROSS: Final = "[red]✗[/red]"
MOST_SHOWN: Final = 40
"""Failures that are told one by one: what breaks one order tends to break them all."""


def console_of_width(width: int) -> Console:
    """The terminal, or a console of this width: a file or a pipe has none of its own."""
    seen = Console(highlight=False)
    return seen if seen.is_terminal else Console(highlight=False, width=width)


def table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """An empty table; the columns of numbers are its last ones."""
    return _with_columns(Table(box=None, pad_edge=False), columns, numbers)


def table_of(items: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> Table:
    """The items' fields by the columns' headings, a row each. What is None stays empty."""
    shown = table(*columns)
    for item in items:
        shown.add_row(*("" if item[name] is None else str(item[name]) for name in columns.values()))
    return shown


def report_table(title: str, *columns: str, numbers: Sequence[str] = ()) -> Table:
    """An empty table in the style of all reports; the columns of numbers are its last ones."""
    shown = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        header_style="dim",
    )
    return _with_columns(shown, columns, numbers)


def money(amount: int, currency: str) -> str:
    """An amount in minor units as people read it."""
    return f"{amount // 100:,}.{amount % 100:02} {currency}"


def _with_columns(shown: Table, columns: Sequence[str], numbers: Sequence[str]) -> Table:
    for column in columns:
        shown.add_column(column, overflow="fold")
    for column in numbers:
        shown.add_column(column, justify="right")
    return shown
