"""The style of this command line."""

from rich.console import Console
from rich.table import Table


def table(*columns: str) -> Table:
    """An empty table."""
    shown = Table(box=None, pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    return shown


def console_of_width(width: int) -> Console:
    """The terminal, or a console of this width: a file or a pipe has none of its own."""
    seen = Console(highlight=False)
    return seen if seen.is_terminal else Console(highlight=False, width=width)
