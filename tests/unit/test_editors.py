"""Editors find the imports: pyright, which most of them ask, with the project's own configuration."""

import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from tools.cloud.settings import ROOT

UNRESOLVED = {"reportMissingImports", "reportMissingModuleSource"}


@pytest.mark.timeout(600)
def test_pyright_resolves_every_import(tmp_path: Path) -> None:
    """Without reading the libraries themselves, which takes minutes and gigabytes and resolves nothing more."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pyright"]
    # Paths are relative to the configuration.
    here = Path(os.path.relpath(ROOT, tmp_path))
    settings |= {name: [str(here / path) for path in settings[name]] for name in ("include", "extraPaths")}
    settings |= {"venvPath": str(here), "useLibraryCodeForTypes": False}
    configuration = tmp_path / "pyrightconfig.json"
    configuration.write_text(json.dumps(settings))

    done = subprocess.run(
        [str(ROOT / "node_modules" / ".bin" / "pyright"), "--outputjson", "--project", str(configuration)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)

    assert report["summary"]["filesAnalyzed"] > 300, "it looked at the project"
    unresolved = [found for found in report["generalDiagnostics"] if found.get("rule") in UNRESOLVED]
    assert [(found["file"], found["message"]) for found in unresolved] == []
