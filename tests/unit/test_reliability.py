"""docs/reliability.md and docs/traps.md name a test for each promise, fault, mutant and trap: they exist, and none is
left out."""

import ast
import re
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from orders.contract import Metric
from tests.mutants.catalogue import SEVEN
from tests.support.named_tests import ROOT, is_test

PAGE: Final = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
TRAPS_PAGE: Final = (ROOT / "docs" / "traps.md").read_text(encoding="utf-8")
SECTIONS: Final = dict(section.partition("\n")[::2] for section in PAGE.split("\n## ")[1:])

FAULTS: Final = 15
"""Those that docs/promises.md names."""
PROMISES: Final = [f"I{number}" for number in range(1, 14)]
TRAPS: Final = [f"T{number}" for number in range(1, 25)]

_TEST: Final = re.compile(r"`(tests/[^`]*::[^`]*)`")
_KEY: Final = re.compile(r"[A-Z][0-9]*")
_CHAOS: Final = "C"
_UNTOUCHED: Final = "·"


def table_rows(text: str) -> list[list[str]]:
    """The cells of each row of the text's tables, without the dashes under their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "---" not in line]


MATRIX: Final = [row for row in table_rows(SECTIONS["Promises × faults"]) if row[0].startswith("**I")]
LEGEND: Final = {
    row[0]: row[1]
    for row in table_rows(SECTIONS["Promises × faults"])
    if len(row) == 2 and _KEY.fullmatch(row[0])
}


@pytest.mark.parametrize("test", sorted(set(_TEST.findall(PAGE + TRAPS_PAGE))))
def test_a_named_test_exists(test: str) -> None:
    assert is_test(test)


def test_every_promise_is_looked_at_under_every_fault() -> None:
    assert [row[0].split("**")[1] for row in MATRIX] == PROMISES
    assert {len(row) for row in MATRIX} == {1 + FAULTS}
    assert all(cell for row in MATRIX for cell in row)


def test_every_key_of_the_table_is_explained_and_every_explanation_used() -> None:
    used = {key for row in MATRIX for cell in row[1:] for key in cell.split()} - {_CHAOS, _UNTOUCHED}

    assert used == set(LEGEND)
    assert all(_TEST.fullmatch(test) for test in LEGEND.values())


def test_every_promise_and_every_fault_is_shown_by_something() -> None:
    for cells in [*MATRIX, *zip(*(row[1:] for row in MATRIX), strict=True)]:
        assert any(key in LEGEND for cell in cells for key in cell.split())


def test_every_trap_has_its_test() -> None:
    rows = table_rows(TRAPS_PAGE)[1:]

    assert [row[0] for row in rows] == TRAPS
    assert all(_TEST.search(row[3]) for row in rows)


def test_the_mutants_table_is_the_catalogue() -> None:
    told = {row[0]: _TEST.findall(row[1]) for row in table_rows(SECTIONS["Mutants"])[1:]}

    assert told == {mutant.name: list(mutant.tests) for mutant in SEVEN}


def test_every_metric_is_counted_somewhere_and_looked_at_by_a_test() -> None:
    """Trap T20: a declared metric without a call site."""
    metrics = {name: value for name, value in vars(Metric).items() if name.isupper()}
    counted = _attributes_of_metric(ROOT / "functions") | _attributes_of_metric(ROOT / "layers")
    tests = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "integration").rglob("*.py")
    )
    tests += "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "unit").rglob("*.py"))

    assert {name for name in metrics if counted[name] == 0} == set()
    assert {name for name, value in metrics.items() if f'"{value}"' not in tests} == set()


def _attributes_of_metric(directory: Path) -> Counter[str]:
    """How often each `Metric.NAME` is said in the code below a directory."""
    return Counter(
        node.attr
        for path in directory.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Metric"
    )
