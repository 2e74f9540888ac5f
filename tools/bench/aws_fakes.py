"""What the functions call besides Postgres: an SQS that takes 10 ms, and a Secrets Manager.

Both are real HTTP servers, and their callers AWS's own SDK, pointed there by its `AWS_ENDPOINT_URL…` variables.
"""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

SQS_SECONDS: Final = 0.010
"""How long this SQS takes for a call; the relay's budget holds for that."""


@contextlib.contextmanager
def running() -> Iterator[dict[str, str]]:
    """Both servers; yields the variables that lead there."""
    with _secrets_manager() as secrets_url, _sqs() as sqs_url:
        yield {"AWS_ENDPOINT_URL": secrets_url, "AWS_ENDPOINT_URL_SQS": sqs_url}


@contextlib.contextmanager
def _sqs() -> Iterator[str]:
    """In a process of its own: it must not share an interpreter with what it is used to measure."""
    command = [sys.executable, "-m", "tools.sqs_server", str(SQS_SECONDS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


class _Secrets(BaseHTTPRequestHandler):
    """A secret is its own id: whoever names its content is given it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = json.dumps({"Name": "database", "SecretString": question["SecretId"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def _secrets_manager() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Secrets) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
