"""Clients that others generate from the served document work: generated anew, type-checked, and run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from orders.contract import API_PREFIX
from tests.e2e.conftest import Cloud
from tools.cloud.settings import ROOT
from tools.cloud.stack import sign_in

CLIENTS = Path(__file__).parent / "clients"
NODE_MODULES = ROOT / "node_modules"
TSC_OPTIONS = (
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2022",
    "--lib",
    "es2022,dom",
    "--outDir",
    "out",
)


@pytest.fixture
def document(running_cloud: Cloud, tmp_path: Path) -> Path:
    """The document as the stage serves it."""
    file = tmp_path / "openapi.json"
    file.write_text(httpx.get(f"{running_cloud.stack['api_url']}{API_PREFIX}/openapi.json", timeout=60).text)
    return file


def run(directory: Path, *command: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=directory,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def caller(cloud: Cloud) -> dict[str, str]:
    """What the clients get to know."""
    token = sign_in(cloud.settings, cloud.stack, "customer").access_token
    return {"API_URL": cloud.stack["api_url"], "TOKEN": token}


def test_a_generated_typescript_client_places_an_order_and_follows_it_to_its_end(
    running_cloud: Cloud, document: Path, tmp_path: Path
) -> None:
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(CLIENTS / "place_order.ts", tmp_path)
    programs = NODE_MODULES / ".bin"

    run(tmp_path, programs / "openapi-typescript", document, "--output", "schema.d.ts")
    run(tmp_path, programs / "tsc", *TSC_OPTIONS, "place_order.ts")
    printed = run(tmp_path, "node", "out/place_order.js", **caller(running_cloud))

    assert json.loads(printed)["status"] == "CONFIRMED"


def test_a_generated_python_client_places_an_order_and_follows_it_to_its_end(
    running_cloud: Cloud, document: Path, tmp_path: Path
) -> None:
    run(tmp_path, sys.executable, "-m", "openapi_python_generator", document, tmp_path / "orders_client")
    printed = run(
        tmp_path,
        *(sys.executable, "-W", "ignore::DeprecationWarning", CLIENTS / "place_order.py"),
        PYTHONPATH=str(tmp_path),
        **caller(running_cloud),
    )

    assert json.loads(printed)["status"] == "CONFIRMED"
