"""Editors find the imports: pyright, which most of them ask, with the project's own configuration."""

import ast
import json
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from tools.cloud.settings import ROOT

UNRESOLVED: Final = {"reportMissingImports", "reportMissingModuleSource"}
SETTINGS: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pyright"]


def imported_modules() -> set[str]:
    """Whatever the project's sources import, anywhere in them."""
    found: set[str] = set()
    ignored = {file for folder in SETTINGS["ignore"] for file in (ROOT / folder).rglob("*.py")}
    sources = {file for folder in SETTINGS["include"] for file in (ROOT / folder).rglob("*.py")}
    for source in sources - ignored:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    found |= {name.name for name in names}
                case ast.ImportFrom(module=str(module)):
                    found.add(module)
    return found


def unresolved(modules: set[str], directory: Path) -> set[str]:
    """The modules that pyright does not find, asked about in one file: all sources would take minutes."""
    (directory / "all_imports.py").write_text("".join(f"import {module}\n" for module in sorted(modules)))
    # Paths are relative to the configuration.
    here = Path(os.path.relpath(ROOT, directory))
    extra = [str(here), *(str(here / path) for path in SETTINGS["extraPaths"])]
    settings = SETTINGS | {"include": ["."], "extraPaths": extra, "venvPath": str(here)}
    (directory / "pyrightconfig.json").write_text(json.dumps(settings | {"useLibraryCodeForTypes": False}))
    done = subprocess.run(
        [str(ROOT / "node_modules" / ".bin" / "pyright"), "--outputjson", "--project", str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    return {found["message"] for found in report["generalDiagnostics"] if found.get("rule") in UNRESOLVED}


@pytest.mark.timeout(300)
def test_pyright_resolves_every_import_and_says_so_of_one_that_is_not_there(tmp_path: Path) -> None:
    modules = imported_modules()

    assert {"orders.domain", "ministack.core", "aws_cdk"} <= modules
    (missing,) = unresolved(modules | {"nowhere.to_be.found"}, tmp_path)
    assert "nowhere.to_be.found" in missing
