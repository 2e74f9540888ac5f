"""What the documents and the workflows name is there: commands, paths, functions, decisions, promises and traps."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import typer
import yaml  # type: ignore[import-untyped]

from tests.support.named_tests import ROOT
from tools.cli.__main__ import app

PAGES: Final = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
WORKFLOWS: Final = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FOLDERS: Final = (
    "bin",
    "docs",
    "functions",
    "infra",
    "layers",
    "requirements",
    "statemachines",
    "tests",
    "tools",
)
SOURCES: Final = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]

MOST_HOPS: Final = 20

_FENCED: Final = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"`([^`\n]+)`")
_LINK: Final = re.compile(r"\]\((?!https?:)([^)#]+)")
_PATH: Final = re.compile(rf"(?:{'|'.join(FOLDERS)}|\.github|\.ci)/[\w./-]*")
_FUNCTION: Final = re.compile(r"`((?:functions|layers)/[\w./-]+\.py)::([\w:]+)`")
_NUMBERED: Final = re.compile(
    r"\b(?:promise|trap)s?\s+([IT]\d+(?:(?:,|,? and|–)\s+?[IT]\d+)*)", re.IGNORECASE
)
_DOCUMENT: Final = re.compile(r"[\w./-]*\w\.md\b")
_DECISION: Final = re.compile(r"\b(?:ADR|decision) (\d{4})")
_PINNED: Final = re.compile(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_in(page: Path) -> list[str]:
    """What a page sets in code: its blocks, and what stands between back-ticks."""
    text = page.read_text(encoding="utf-8")
    return [match[0] for match in _FENCED.finditer(text)] + _INLINE.findall(_FENCED.sub("", text))


def section(page: Path, title: str) -> str:
    return page.read_text(encoding="utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]


def makefile() -> str:
    return (ROOT / "Makefile").read_text(encoding="utf-8")


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", makefile(), re.MULTILINE))


def jobs(workflow: Path) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()


def commands(job: dict[str, Any]) -> Iterator[str]:
    """What a job runs, once for each value of its matrix."""
    matrix = job.get("strategy", {}).get("matrix", {})
    for run in (step["run"] for step in job["steps"] if "run" in step):
        placeholder = re.search(r"\$\{\{ matrix\.(\w+) \}\}", run)
        if placeholder is None:
            yield run
        else:
            yield from (run.replace(placeholder[0], value) for value in matrix[placeholder[1]])


# Commands


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_command_of_a_page_is_a_target(page: Path) -> None:
    named = {word for code in code_in(page) for word in re.findall(r"\bmake ([a-z]+)", code)}

    assert named - targets() == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_orders_command_of_a_page_is_one(page: Path) -> None:
    for words in (
        words for code in code_in(page) for words in re.findall(r"bin/orders ([a-z][a-z |-]*)", code)
    ):
        first, *others = words.split()
        for name in first.split("|"):
            assert is_command([name, *others]), f"bin/orders {words}"


def is_command(words: list[str]) -> bool:
    command: Any = typer.main.get_command(app)
    for word in words:
        if not hasattr(command, "commands"):
            return True  # the rest are its arguments
        if word not in command.commands:
            return False
        command = command.commands[word]
    return True


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=name_of)
def test_a_workflow_only_runs_targets_of_the_makefile(workflow: Path) -> None:
    for command in (command for job in jobs(workflow) for command in commands(job)):
        assert command.split()[0] == "make"
        assert command.split()[1] in targets()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=name_of)
def test_a_workflow_pins_its_actions_and_may_only_read(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")

    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in jobs(workflow))
    assert all(_PINNED.fullmatch(used) for used in re.findall(r"uses: (.*)", text))


def test_before_a_commit_the_same_is_checked_as_by_make_static() -> None:
    recipe = re.search(r"^static:.*\n((?:\t.*\n)+)", makefile(), re.MULTILINE)
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0][
        "hooks"
    ]

    assert recipe is not None
    checked = re.findall(r"^\t@(\.venv/bin/[^>|\n]*[^>|\s])", recipe[1], re.MULTILINE)
    assert [hook["entry"][hook["entry"].index(".venv/") :] for hook in hooks] == checked


def test_dependabot_looks_at_everything_that_is_locked() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))["updates"]

    assert {update["package-ecosystem"] for update in updates} == {"pip", "npm", "github-actions"}
    assert all((ROOT / update["directory"].strip("/")).is_dir() for update in updates)


# Paths


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_of_a_page_is_there(page: Path) -> None:
    named = {code.partition("::")[0] for code in _INLINE.findall(page.read_text(encoding="utf-8"))}
    linked = {page.parent / link for link in _LINK.findall(page.read_text(encoding="utf-8"))}

    assert {path for path in named if _PATH.fullmatch(path) and not (ROOT / path).exists()} == set()
    assert {link for link in linked if not link.exists()} == set()


@pytest.mark.parametrize("folder", ["functions", "infra", "layers", "tests", "tools"])
def test_no_source_refers_to_a_document_that_is_not_here(folder: str) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCES if path.is_relative_to(ROOT / folder)}
    named = {(name_of(path), name) for path, text in texts.items() for name in _DOCUMENT.findall(text)}
    decided = {(name_of(path), number) for path, text in texts.items() for number in _DECISION.findall(text)}

    assert {(path, name) for path, name in named if not is_document(name)} == set()
    assert {(path, one) for path, one in decided if not any((ROOT / "docs/adr").glob(f"{one}-*"))} == set()


def is_document(name: str) -> bool:
    """By its path from the project's directory, or by its name alone if it is in docs/."""
    return (ROOT / name).is_file() or (ROOT / "docs" / name).is_file()


# One order, from body to mail


def test_an_order_is_followed_in_few_hops_each_of_which_is_a_function_that_exists() -> None:
    hops = re.findall(
        r"^\| (\d+) \| (\S+) \|", section(ROOT / "docs/architecture.md", "One order, from body to mail"), re.M
    )

    assert [int(number) for number, _ in hops] == [*range(1, len(hops) + 1)]
    assert 10 < len(hops) <= MOST_HOPS
    for _, where in hops:
        hop = _FUNCTION.fullmatch(where)
        assert hop is not None
        assert hop[2] in functions_of(hop[1]), where


@cache
def functions_of(path: str) -> frozenset[str]:
    """The functions of a file, and the methods of its classes as `Class::method`."""
    names = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef():
                names.add(node.name)
            case ast.ClassDef():
                names |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return frozenset(names)


# Promises and traps


def test_every_promise_and_trap_that_is_named_has_its_row() -> None:
    pages = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("promises.md", "traps.md")]
    rows = {number for page in pages for number in re.findall(r"^\| ([IT]\d+) \|", page, re.MULTILINE)}
    named = {
        (name_of(path), number)
        for path in (*SOURCES, *PAGES)
        for numbers in _NUMBERED.findall(path.read_text(encoding="utf-8"))
        for number in re.findall(r"[IT]\d+", numbers)
    }

    assert len(named) > 50
    assert {(path, number) for path, number in named if number not in rows} == set()
