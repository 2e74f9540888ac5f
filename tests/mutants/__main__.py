"""`make mutants`: makes each defect in a copy of the project, and demands that its tests go red.

python -m tests.mutants [words of a mutant's name]
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ROOT, Mutant

# Installed, or made by a run; the copy uses the project's own.
_NOT_COPIED: Final = shutil.ignore_patterns(
    ".git", ".venv", "node_modules", ".local", ".build", "cdk.out*", ".*_cache", "__pycache__", ".hypothesis"
)
_INSTALLED: Final = (".venv", "node_modules")
# What pytest answers when tests ran and some failed; anything else is no verdict about the mutant.
_TESTS_FAILED: Final = 1


def main(words: Sequence[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if all(word.lower() in mutant.name.lower() for word in words)]
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="orders-mutants-") as directory:
        copy = Path(directory) / "project"
        shutil.copytree(ROOT, copy, ignore=_NOT_COPIED)
        for name in _INSTALLED:
            (copy / name).symlink_to(ROOT / name)
        for mutant in chosen:
            begun = time.monotonic()
            survived = [test for test in mutant.tests if not _goes_red(copy, mutant, test)]
            survivors += bool(survived)
            verdict = "survived" if survived else "caught"
            print(
                f"{verdict:9}{time.monotonic() - begun:5.0f} s  {mutant.name}",
                *survived,
                sep="\n    ",
                flush=True,
            )
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants were caught")
    return 1 if survivors or not chosen else 0


def _goes_red(copy: Path, mutant: Mutant, test: str) -> bool:
    original = {edit.path: (copy / edit.path).read_text(encoding="utf-8") for edit in mutant.edits}
    try:
        for edit in mutant.edits:
            path = copy / edit.path
            path.write_text(edit.applied_to(path.read_text(encoding="utf-8")), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
        run = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    finally:
        for name, text in original.items():
            (copy / name).write_text(text, encoding="utf-8")
    if run.returncode not in (0, _TESTS_FAILED):
        raise RuntimeError(f"{test} did not run:\n{run.stdout}{run.stderr}")
    return run.returncode == _TESTS_FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
