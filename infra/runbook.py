"""The sections of the runbook, which alarms lead to."""

import functools
import re
from typing import Final

from infra.assets import ROOT

PAGE: Final = "docs/operations.md"


def section(alarm: str) -> str:
    """The page and the anchor of an alarm's section, as GitHub makes anchors of headings.

    Raises:
        ValueError: the runbook has no section for it.
    """
    for heading in _headings():
        if f"`{alarm}`" in heading:
            return f"{PAGE}#{re.sub(r'[^a-z0-9 _-]', '', heading.lower()).replace(' ', '-')}"
    raise ValueError(f"{PAGE} has no section for the alarm {alarm!r}")


@functools.cache
def _headings() -> list[str]:
    lines = (ROOT / PAGE).read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("### ") for line in lines if line.startswith("### ")]
