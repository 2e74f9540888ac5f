"""Commands whose modules are imported when one of them is asked for: all of them together take most of a second."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

MODULES: Final = {
    "local": ("up", "down", "status"),
    "orders": ("place", "show", "cancel", "list", "demo"),
    "account": ("signup", "confirm", "login", "logout", "token"),
    "audit": ("audit",),
    "mails": ("mails",),
    "places": ("url", "open", "console"),
    "preflight": ("preflight",),
    "smoke": ("smoke",),
    "operations": ("resend", "redeliver", "payments", "health", "dlq", "review", "outbox"),
    "search": ("queues", "find", "timeline", "stats"),
    "logs": ("logs",),
    "refunds": ("refund", "refunds", "refund-resume", "refund-reject"),
    "erasure": ("erase-customer",),
    "addresses": ("addresses",),
    "webhooks": ("webhook",),
    "recipients": ("recipients",),
    "products": ("product",),
    "gateway": ("gateway",),
    "payment": ("payment",),
}
"""The commands and groups of each module under `tools/cli/` that has some, in the order of `--help`."""

_MODULE_OF: Final = {name: module for module, names in MODULES.items() for name in names}


@cache
def commands_of(module: str) -> Mapping[str, Any]:
    """The commands and groups of a module, as Typer makes them of its `app`."""
    root = typer.Typer()
    root.add_typer(import_module(f"tools.cli.{module}").app)
    return get_group(root).commands


class _Commands(Mapping[str, Any]):
    """Knows all names; a command is imported when it is looked up."""

    def __getitem__(self, name: str) -> Any:
        return commands_of(_MODULE_OF[name])[name]

    def __contains__(self, name: object) -> bool:
        return name in _MODULE_OF

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULE_OF)

    def __len__(self) -> int:
        return len(_MODULE_OF)


class LazyGroup(TyperGroup):
    """A group of the commands of all modules."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Commands()  # type: ignore[assignment]

    def list_commands(self, ctx: object) -> list[str]:
        return list(self.commands)
