"""The functions as the local cloud has them: staged, byte-compiled, in an environment of their own, one process each.

Which functions there are, and what each finds in its environment, is read from the synthesized template: nothing of
it is said here a second time.
"""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from infra.assets import function_directory, runtime_interpreter
from orders.db import Credentials
from tools.bench import events, worker
from tools.cloud import deploy, postgres
from tools.cloud.settings import Settings

_NO_LIMIT_SECONDS: Final = 3600

_OURS: Final = {
    "AWS_EC2_METADATA_DISABLED": "true",
    # The gateway is not ours, so it takes no time here.
    "GATEWAY_LATENCY_MIN_MS": "0",
    "GATEWAY_LATENCY_MAX_MS": "0",
}


def deployed(settings: Settings) -> dict[str, dict[str, str]]:
    """The packages that the local stage deploys, each with its environment."""
    assembly = deploy.synthesize(settings, deploy.context(postgres.credentials(settings), "simulator", None))
    found = {}
    for properties in deploy.resources(assembly, "AWS::Lambda::Function"):
        folder, _, rest = properties["Handler"].partition(".")
        if folder == "functions":
            variables = properties["Environment"]["Variables"]
            found[rest.split(".")[0]] = {name: _resolved(value) for name, value in variables.items()}
    return found


def environment(
    settings: Settings, variables: Mapping[str, str], credentials: Credentials, aws_url: str
) -> dict[str, str]:
    """What a process finds in its environment: the function's variables, and of ours hardly more than the PATH."""
    inherited = {
        name: value
        for name, value in settings.aws_environment().items()
        if not name.startswith("AWS_ENDPOINT_URL")
    }
    return {
        **inherited,
        **variables,
        **_OURS,
        "AWS_ENDPOINT_URL": aws_url,
        "DATABASE_SECRET_ID": credentials.model_dump_json(),
    }


@dataclass(frozen=True)
class Call:
    """One invocation."""

    event: dict[str, Any]
    entry: str = "handler"
    """The handler's name in the package's `handler` module."""


@dataclass(frozen=True)
class Round:
    """The invocations of one round."""

    milliseconds: list[float]
    answers: list[Any]


class Worker:
    """A warm process of one function."""

    def __init__(self, package: str, process: subprocess.Popen[str]) -> None:
        self._package = package
        self._process = process

    @classmethod
    @contextlib.contextmanager
    def running(cls, package: str, environment: Mapping[str, str]) -> Iterator["Worker"]:
        """The process, ended at the end."""
        command = [
            str(runtime_interpreter()),
            str(Path(worker.__file__)),
            str(function_directory(package, "local")),
        ]
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield cls(package, process)
            finally:
                process.terminate()

    def invoke(self, calls: Sequence[Call], seconds: float = _NO_LIMIT_SECONDS) -> Round:
        """Makes the calls in turn. `seconds` is the time that the context has left at the start of each."""
        self.start(calls, seconds)
        return self.finish()

    def start(self, calls: Sequence[Call], seconds: float = _NO_LIMIT_SECONDS) -> None:
        """The same, without waiting for it; `finish` does."""
        named = [(f"functions.{self._package}.handler.{call.entry}", call.event) for call in calls]
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"calls": named, "seconds": seconds}) + "\n")
        self._process.stdin.flush()

    def finish(self) -> Round:
        """Waits for the calls that were started."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"the process of {self._package} ended in mid-round; what it said stands above"
            )
        answer = json.loads(line)
        return Round([nanoseconds / 1e6 for nanoseconds in answer["nanoseconds"]], answer["answers"])


def place(creator: Worker, products: Sequence[UUID], times: int) -> Round:
    """Places an order of one of each product, so many times over, one after the other."""
    placed = creator.invoke([Call(events.post_order(products)) for _ in range(times)])
    refused = [answer for answer in placed.answers if answer["statusCode"] != 202]
    if refused:
        raise RuntimeError(f"{len(refused)} of {times} orders were not accepted: {refused[0]['body']}")
    return placed


def order_ids(placed: Round) -> list[str]:
    """The ids of the orders that were placed."""
    return [answer["headers"]["Location"].rpartition("/")[2] for answer in placed.answers]


def _resolved(value: Any) -> str:
    """A template's value with the resources that it refers to by their names: they exist nowhere yet."""
    match value:
        case {"Ref": name} | {"Fn::ImportValue": name}:
            return str(name)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(_resolved, parts))
        case _:
            return str(value)
