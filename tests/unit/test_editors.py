"""Editors find the imports: pyright, which most of them ask, with the project's own configuration."""

import json
import subprocess
from collections import Counter

from tools.cloud.settings import ROOT


def test_pyright_resolves_every_import() -> None:
    done = subprocess.run(
        [str(ROOT / "node_modules" / ".bin" / "pyright"), "--outputjson"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)

    assert report["summary"]["filesAnalyzed"] > 300, "it looked at the project"
    assert Counter(found["rule"] for found in report["generalDiagnostics"] if "rule" in found) == {}
