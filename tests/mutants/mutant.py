"""A defect on purpose: what is changed, and the tests that must notice."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Edit:
    """One passage of one file, which must stand there exactly once, and what stands there instead."""

    path: str
    before: str
    after: str

    def applied_to(self, text: str) -> str:
        """Raises ValueError if the passage is gone, or is not the only one."""
        if text.count(self.before) != 1:
            raise ValueError(f"{self.path} has this {text.count(self.before)} times: {self.before!r}")
        return text.replace(self.before, self.after)


@dataclass(frozen=True)
class Mutant:
    name: str
    """What the code does wrong, in words."""
    edits: Sequence[Edit]
    tests: Sequence[str]
    """Each of which goes red."""


def mutant(name: str, path: str, before: str, after: str, *tests: str) -> Mutant:
    """One with a single edit, as most are."""
    return Mutant(name, (Edit(path, before, after),), tests)
