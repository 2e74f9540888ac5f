"""How often Step Functions is asked to wake an execution."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from orders.errors import ServiceUnavailable
from orders.payments import actions


@pytest.mark.parametrize("attempts", [1, 2])
def test_it_is_asked_as_often_as_the_caller_has_time_for(
    monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    with failing_service() as (url, requests):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(ServiceUnavailable):
            actions.waker(attempts)("token")

    assert requests == ["AWSStepFunctions.SendTaskSuccess"] * attempts


@contextlib.contextmanager
def failing_service() -> Iterator[tuple[str, list[str]]]:
    """Its URL, and what it was asked."""
    asked: list[str] = []

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.headers["X-Amz-Target"])
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
