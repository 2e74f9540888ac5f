"""What an audit finds out about a promise."""

from dataclasses import dataclass
from typing import Final

NUMBERS: Final = tuple(f"I{number}" for number in range(1, 13))
"""The promises, in order."""


@dataclass(frozen=True)
class Violation:
    """One thing that breaks a promise."""

    subject: str
    """What it is about: an order's, product's, event's or payment's id."""
    problem: str


@dataclass(frozen=True)
class Verdict:
    """What an audit found out about one promise."""

    promise: str
    """Its number in docs/promises.md."""
    sentence: str
    checked: int
    """How many things were looked at. None is no evidence."""
    violations: tuple[Violation, ...] = ()
    remarks: tuple[Violation, ...] = ()
    """What an operator should know although no promise is broken."""

    @property
    def holds(self) -> bool:
        return not self.violations
