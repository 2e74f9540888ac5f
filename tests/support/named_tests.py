"""Whether a test that something else names by `file::name` exists, without importing or running it."""

import ast
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def is_test(node_id: str) -> bool:
    """`tests/….py::test_name` or `tests/….py::TestClass::test_name`, without parameters."""
    path, _, name = node_id.partition("::")
    return name in _names(path)


@cache
def _names(path: str) -> frozenset[str]:
    file = ROOT / path
    if not (path.startswith("tests/") and file.is_file()):
        return frozenset()
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{test.name}" for test in node.body if isinstance(test, ast.FunctionDef)}
    return frozenset(name for name in names if name.rpartition("::")[2].startswith("test_"))
