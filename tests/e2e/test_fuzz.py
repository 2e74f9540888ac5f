"""Generated questions, right and wrong ones, about every operation of the API's own document (schemathesis).

All of its checks: no 5xx, no status and no content that the document does not tell of, no wrong data accepted, no
right data refused, nobody let in without a token. `make fuzz` asks thousands; `make test` as many as there is time for.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from orders.contract import API_PREFIX
from tests.e2e.conftest import Cloud
from tools.cloud.settings import ROOT
from tools.cloud.stack import sign_in

HERE = Path(__file__).parent
PYTHON_PATH = os.pathsep.join(map(str, (ROOT, ROOT / "layers" / "shared" / "python")))
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2"))
"""For each operation and each phase. The phase that goes through the borders of every field has its own number."""
IS_LONG = EXAMPLES >= 40
BORDERS_ONE_IN = 1 if IS_LONG else 4
FEWEST = 2_000 if IS_LONG else 500
TIMEOUT_SECONDS = 900


@pytest.mark.timeout(TIMEOUT_SECONDS)
def test_the_api_keeps_to_its_document(running_cloud: Cloud, tmp_path: Path) -> None:
    # An administrator is a customer too, so that every operation is reached.
    token = sign_in(running_cloud.settings, running_cloud.stack, "admin").access_token
    api_url = running_cloud.stack["api_url"]
    report = tmp_path / "har.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"{api_url}{API_PREFIX}/openapi.json", "--url", api_url, "--checks", "all"),
            *("--header", f"Authorization: Bearer {token}", "--max-examples", str(EXAMPLES)),
            # One worker: with more, Python 3.11 cannot always parse what Hypothesis shows (python/cpython#106905).
            *("--seed", "1", "--workers", "1", "--report-har-path", str(report), "--no-color"),
            *("--suppress-health-check", "all", "--warnings", "off"),
        ],
        # It leaves a cache where it runs.
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": PYTHON_PATH,
            "SCHEMATHESIS_HOOKS": "tests.e2e.fuzz_hooks",
            "FUZZ_BORDERS_ONE_IN": str(BORDERS_ONE_IN),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    asked = json.loads(report.read_text())["log"]["entries"]
    statuses = Counter(entry["response"]["status"] for entry in asked)
    print(f"{len(asked)} requests: {dict(sorted(statuses.items()))}")
    assert len(asked) >= FEWEST
    assert not [status for status in statuses if status >= 500]
