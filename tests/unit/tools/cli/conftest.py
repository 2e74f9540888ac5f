"""The command line against an API that a test writes, on loopback: another system than the local cloud."""

import contextvars
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from tools.cli.__main__ import main
from tools.cloud.settings import ROOT

TOKEN = "token-of-the-other-system"


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class FakeApi:
    """Responds by method and path, below `/api/v1`; keeps what it was asked."""

    url: str = ""
    responses: dict[tuple[str, str], Any] = field(default_factory=dict)
    """A document, or a status with a text of some content type."""
    asked: list[Request] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """Of every response."""
    refuses: Callable[[Request], bool] = lambda request: False
    """Whether it is refused with 401."""

    def respond(self, request: Request) -> tuple[int, str, bytes]:
        self.asked.append(request)
        found = self.responses.get(
            (request.method, request.path.partition("?")[0]), self.responses.get(("*", "*"))
        )
        if self.refuses(request):
            return 401, "application/problem+json", b'{"type": "about:blank", "title": "Unauthorized"}'
        match found:
            case None:
                problem = {
                    "type": "https://orders.example/problems/not-found",
                    "title": "Not found",
                    "detail": "Nothing",
                }
                return 404, "application/problem+json", json.dumps(problem).encode()
            case (int(status), str(kind), str(text)):
                return status, kind, text.encode()
            case _:
                return 200, "application/json", json.dumps(found).encode()


@pytest.fixture
def api() -> Iterator[FakeApi]:
    fake = FakeApi()

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(length)
            body = json.loads(content) if content else None
            path = self.path.removeprefix("/api/v1")
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, kind, response = fake.respond(Request(self.command, path, headers, body))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(response)))
            for name, value in fake.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self.handle_one
            raise AttributeError(name)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield fake
        server.shutdown()


def stream(encoding: str = "utf-8") -> io.TextIOWrapper:
    """A pipe to a reader with this encoding."""
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


class Terminal(io.TextIOWrapper):
    """Says that it is one; keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Shell:
    """Somebody at a terminal whose local cloud is not up."""

    home: Path
    environment: dict[str, str]

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [str(ROOT / "bin" / "orders"), *arguments],
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def start_and_end(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
        """In a process of its own, which takes seconds."""
        process = self.start(*arguments, **environment)
        output, errors = process.communicate(timeout=100)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def orders(
        self, *arguments: str, output: io.TextIOWrapper | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[bytes]":
        """In this process, with all that a process of its own would have. `output` is a pipe unless it is given."""
        output = output or stream()
        errors = stream()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
        with (
            patch.dict(os.environ, self.environment | environment, clear=True),
            patch.object(sys, "argv", ["orders", *arguments]),
            patch.object(sys, "stdout", output),
            patch.object(sys, "stderr", errors),
        ):
            time.tzset()
            code = contextvars.Context().run(exit_code)
        time.tzset()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        texts = []
        for written in (output, errors):
            written.flush()
            assert isinstance(written.buffer, io.BytesIO)
            texts.append(written.buffer.getvalue())
        return subprocess.CompletedProcess(arguments, code, *texts)


def exit_code() -> int:
    """Of a command."""
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    raise AssertionError("A command ends by an exit.")


@pytest.fixture
def nobody() -> Iterator[str]:
    """A URL of this machine where nothing answers: the port is taken, and not listened at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def shell(tmp_path: Path, api: FakeApi) -> Shell:
    """It talks to the test's API, with a token for it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return Shell(
        tmp_path,
        kept
        | {
            "ORDERS_HOME": str(tmp_path),
            "ORDERS_PORT": "1",
            "ORDERS_API_URL": api.url,
            "ORDERS_TOKEN": TOKEN,
            "LC_ALL": "C.UTF-8",
            "TZ": "Europe/Madrid",
        },
    )
