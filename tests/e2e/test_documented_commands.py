"""The commands of the documents run as they stand, and so do those that the demonstration prints."""

import json
import os
import re
import socket
import subprocess
from http import HTTPStatus
from io import StringIO
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
import pytest

from tests.e2e.conftest import Cloud
from tests.unit.test_documents import PAGES, name_of
from tools.cloud.settings import ROOT
from tools.console import Console
from tools.demo import report

pytestmark = pytest.mark.timeout(600)

NOT_RUN: Final = {
    r"(PAYMENT_PROVIDER=stripe )?make (demo|test|fuzz|chaos|bench|mutants|static)\b": (
        "each is a test run of its own, of minutes"
    ),
    r"(PAYMENT_PROVIDER=stripe )?make (up|down|setup)\b": "this test's own cloud is up, and the project is set up",
    r"make synth\b": "tests/infra synthesizes every stage",
    r"(node_modules/\.bin/cdk|aws|bin/orders preflight) ": "needs an AWS account",
    r"npx openapi-typescript|python -m openapi_python_generator": "tests/e2e/test_generated_clients.py does",
    r"export AWS_": "an AWS account's",
    r"bin/orders (signup|confirm|login) .*CLIENT": "needs a mailbox, and a person with a password",
    r"pre-commit install": "changes this checkout's hooks",
    r"export ORDERS_(API_URL|TOKEN)=.*…": "names another stage, which everybody has to fill in",
    r"\.venv/bin/python -m (pytest|tests\.mutants|tools\.bench)": "test runs inside a test run; CI runs them",
}
"""What of the documents does not run here, and why."""
MAY_BE_REFUSED: Final = (
    r"bin/orders (dlq (redrive|discard)|outbox (redrive|discard)|review (show|resume|close)|webhook (trigger|update)"
    r"|recipients (confirm|remove)|addresses (show|allow)|erase-customer|payment (complete|fail)"
    r"|cancel|timeline|logs|resend|redeliver|refunds?|refund-(resume|reject)) .*\$"
)
"""They repair what is broken. Where nothing is, the API refuses (exit code 3), and it must have understood."""
ASKS_FIRST: Final = r"bin/orders (erase-customer|cancel) "
RUNS_UNTIL_CTRL_C: Final = r"bin/orders webhook listen(?!.*--count)"
REFUSED: Final = 3

_BLOCK: Final = re.compile(r"^( *)```(?:console|sh|bash)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def commands_of(page: Path) -> list[str]:
    """Each with the lines that it goes on in: a quote or a backslash was open."""
    found: list[str] = []
    for indent, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.splitlines():
            line = line.removeprefix(indent)
            if line.startswith("$ "):
                found.append(line[2:])
            elif found and not is_complete(found[-1]):
                found[-1] += f"\n{line}"
    return found


def is_complete(command: str) -> bool:
    if command.rstrip().endswith("\\"):
        return False
    return subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False).returncode == 0


def reason_not_to_run(command: str) -> str | None:
    return next((reason for pattern, reason in NOT_RUN.items() if re.match(pattern, command)), None)


WITH_COMMANDS: Final = [
    page for page in PAGES if any(not reason_not_to_run(one) for one in commands_of(page))
]


@pytest.fixture
def shell(running_cloud: Cloud, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who follows a document on a cloud that is up."""
    # As in a document: an answer that is an error is an error of the command.
    (tmp_path / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n")
    return running_cloud.environment | {
        "CURL_HOME": str(tmp_path),
        "QUEUE": "order-processing",
        "ORDER": str(uuid4()),
        "PRODUCT": str(uuid4()),
        "REFUND": str(uuid4()),
        "MESSAGE": str(uuid4()),
        "DELIVERY": str(uuid4()),
        "EVENT": str(uuid4()),
        "WEBHOOK": str(uuid4()),
        "RECIPIENT": str(uuid4()),
        "CODE": "123456",
        "SUB": str(uuid4()),
        "ADDRESS": "nobody@example.com",
        "EMAIL": "nobody@example.com",
        # Nothing may depend on these.
        "AWS_PROFILE": "nobody",
    }


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_the_commands_of_a_document_run_as_they_stand(
    page: Path, shell: dict[str, str], tmp_path: Path
) -> None:
    commands = [one for one in commands_of(page) if not reason_not_to_run(one)]
    script = ["set -u", f"cd {ROOT}"]
    # What a document writes goes where the test's files are.
    for number, command in enumerate(commands):
        runnable = re.sub(r"(> |--csv )(\w+\.\w+)", rf"\1{tmp_path}/\2", command)
        if re.match(RUNS_UNTIL_CTRL_C, command):
            runnable = f"timeout --signal=INT 15 {runnable}"
        if re.match(ASKS_FIRST, command):
            runnable = f"echo y | {runnable}"
        script.append(f"{runnable}\necho {number} $? >> {tmp_path}/codes")
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], env=shell, capture_output=True, text=True, timeout=280, check=False
    )

    lines = (tmp_path / "codes").read_text().splitlines()
    codes = {int(number): int(code) for number, code in (line.split() for line in lines)}
    for number, command in enumerate(commands):
        allowed = {0}
        if re.match(MAY_BE_REFUSED, command):
            allowed |= {REFUSED}
        if re.match(RUNS_UNTIL_CTRL_C, command):
            allowed |= {124}  # `timeout` says that it was needed
        assert codes[number] in allowed, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    assert "Traceback" not in done.stderr


def test_nothing_is_on_the_list_without_a_need() -> None:
    documented = [command for page in PAGES for command in commands_of(page)]

    assert len(documented) > 30, "the documents were read"
    for pattern in (*NOT_RUN, MAY_BE_REFUSED, ASKS_FIRST, RUNS_UNTIL_CTRL_C):
        assert any(re.match(pattern, command) for command in documented), pattern


def test_what_the_demonstration_prints_runs_as_printed(running_cloud: Cloud) -> None:
    page = StringIO()
    screen = Console(file=page, width=200)
    report.show_next(running_cloud.settings, running_cloud.stack, screen, is_up=True)
    printed = [line.strip() for line in page.getvalue().splitlines() if re.match(r"  \S", line)]
    commands = [line for line in printed if line.startswith("bin/orders")]
    addresses = [line for line in printed if line.startswith("http")]

    assert len(commands) + len(addresses) + 1 == len(printed), "besides them there is one file"
    for command in commands:
        done = subprocess.run(
            command, shell=True, cwd=ROOT, env=running_cloud.environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
    for address in addresses:
        assert httpx.get(address, trust_env=False).status_code == HTTPStatus.OK, address
    (file,) = set(printed) - {*commands, *addresses}
    assert json.loads(Path(file).read_text()) == running_cloud.stack


def test_a_webhook_is_there_as_long_as_it_is_listened_to(running_cloud: Cloud) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environment = running_cloud.environment | {"PYTHONUNBUFFERED": "1"}
        refused = orders(environment, "webhook", "listen", "--port", str(taken.getsockname()[1]))
        assert refused.returncode == 1
    known = webhooks(environment)
    with subprocess.Popen(
        [str(ROOT / "bin" / "orders"), "webhook", "listen", "--count", "1", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as listener:
        assert listener.stderr is not None
        while "calls" not in (line := listener.stderr.readline()):
            assert line, "it ended"
        placed = json.loads(orders(environment, "place", "--watch", "--json").stdout)
        output, _ = listener.communicate(timeout=60)
    assert listener.returncode == 0
    (call,) = (json.loads(line) for line in output.splitlines())
    assert call["verified"] is True
    assert call["event"]["data"]["orderId"] == placed["orderId"]
    assert webhooks(environment) == known, "it is gone with the command"


def webhooks(environment: dict[str, str]) -> set[str]:
    listed = json.loads(orders(environment, "webhook", "list", "--json").stdout)["items"]
    return {webhook["webhookId"] for webhook in listed}


def orders(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(ROOT / "bin" / "orders"), *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
