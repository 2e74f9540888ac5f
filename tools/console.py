"""The style of everything that is printed on a terminal, and the console that prints it.

Much of it is others' text: names, URLs, messages. A string is always text here and never markup; what has a style is a
`Text`.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import rich.console
from rich import box
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from orders.domain import OrderStatus
from orders.money import decimal_text

COLOURS: Final = {
    OrderStatus.PENDING: "cyan",
    OrderStatus.PROCESSING: "cyan",
    OrderStatus.CONFIRMED: "green",
    OrderStatus.CANCELLED: "yellow",
    OrderStatus.NEEDS_REVIEW: "red",
}
"""Of an order's status."""
TICK: Final = Text("✓", "green")
CROSS: Final = Text("✗", "red")
WARNING: Final = Text("!", "yellow")
MOST_SHOWN: Final = 40
"""Failures that are told one by one: what breaks one order tends to break them all."""


_LAYOUT: Final = frozenset("\n\t")
_JOINERS: Final = frozenset("\u200c\u200d")
"""Not joined, or joined: words and emoji need them, and they are harmless."""
_NOT_SHOWN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def visible(text: str, keep: frozenset[str] = _LAYOUT) -> str:
    """The text with an escape, e.g. `\\x1b`, for each character that a terminal obeys, or that changes what is seen of
    the others (Unicode's categories `C…`, `Zl` and `Zp`). Line breaks and tabs stay, unless `keep` says otherwise."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character in keep or character in _JOINERS or unicodedata.category(character) not in _NOT_SHOWN
        else character.encode("unicode_escape").decode()
        for character in text
    )


def in_one_line(value: object) -> str:
    """Others' text where one line is one thing: no line break of its own begins what looks like the next."""
    return visible(str(value), keep=frozenset())


class Console(rich.console.Console):
    """Prints strings as they are: square brackets are no markup, and no control character reaches the terminal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "highlight": False, "emoji": False} | options)

    def render_str(self, text: str, **options: Any) -> Text:
        # Before the layout, so that what is shown is also what is measured.
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        # What came as a `Text` passed no `render_str`.
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def console_of_width(width: int) -> Console:
    """The terminal, or a console of this width: a file or a pipe has none of its own."""
    seen = Console()
    return seen if seen.is_terminal else Console(width=width)


def table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """An empty table; the columns of numbers are its last ones."""
    return _with_columns(Table(box=None, pad_edge=False), columns, numbers)


def table_of(items: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> Table:
    """The items' fields by the columns' headings, a row each. What is None stays empty."""
    shown = table(*columns)
    for item in items:
        shown.add_row(*(cell(name, item[name]) for name in columns.values()))
    return shown


def cell(name: str, value: Any) -> str:
    """A field of the API as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and (name == "at" or name.endswith("At")):
        return local_time(value)
    return in_one_line(value)


def local_time(moment: str | datetime) -> str:
    """A time (RFC 3339) where the reader is, to the second, with the zone's name."""
    try:
        parsed = moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)
    except ValueError:
        return in_one_line(moment)
    local = parsed.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S} {local:%Z}"


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
    """An amount in minor units as people read it: `129.00 USD`, `1,500 JPY`, `1.250 KWD`."""
    return f"{decimal_text(amount, currency)} {currency}"


def _with_columns(shown: Table, columns: Sequence[str], numbers: Sequence[str]) -> Table:
    for column in columns:
        shown.add_column(column, overflow="fold")
    for column in numbers:
        shown.add_column(column, justify="right")
    return shown
