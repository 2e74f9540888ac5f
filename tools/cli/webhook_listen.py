"""What `webhook listen` does: a server on this machine that a webhook calls while it is developed."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from uuid import uuid4

import httpx
import typer
from rich.text import Text
from standardwebhooks import Webhook, WebhookVerificationError

from tools.cli.api import client
from tools.cli.commands import console, current, notes, print_json_line
from tools.cli.target import find_target
from tools.cloud.settings import LOOPBACK, Settings
from tools.console import local_time
from tools.errors import LocalCloudError

_SIGNED_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
_FORWARDED_HEADERS: Final = (*_SIGNED_HEADERS, "content-type", "user-agent")
# The sender waits ten seconds; a server that takes longer has failed.
_FORWARD_SECONDS: Final = 9
_LARGEST_BODY: Final = 1_000_000
_LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Call:
    """One call of the webhook, and what became of it."""

    at: datetime
    webhook_id: str | None
    is_verified: bool
    event: Any
    forwarded_status: int | None
    """What the server that it was forwarded to responded; None if it was forwarded to none, or to nobody."""
    problem: str | None = None


def listen(forward_to: str | None, port: int, url: str | None, count: int | None, user: str | None) -> None:
    """Registers a webhook, and prints and verifies its calls, until it is interrupted or so many calls have come.

    Raises:
        LocalCloudError: the API cannot call this machine, or the port is taken.
        typer.BadParameter: calls cannot be passed on there.
    """
    if url is None and not find_target(Settings.from_environment()).is_local:
        raise LocalCloudError(
            "This API cannot reach your machine. Give --url: a tunnel's https URL that leads here."
        )
    calls: queue.Queue[Call] = queue.Queue()
    receiver = Receiver(_forward_url(forward_to), calls)
    try:
        server = ThreadingHTTPServer((LOOPBACK, port), receiver.handler())
    except OSError as error:
        raise LocalCloudError(
            f"Port {port} cannot be listened at: {error.strerror}. Choose another: --port"
        ) from None
    with _serving(server), _registered(url or f"http://{LOOPBACK}:{server.server_port}/", user) as webhook:
        receiver.webhook = Webhook(webhook["secret"])
        notes.print(f"Webhook {webhook['webhookId']} calls {webhook['url']} until you press Ctrl-C.")
        received = 0
        try:
            while count is None or received < count:
                try:
                    call = calls.get(timeout=_LOOK_SECONDS)
                except queue.Empty:
                    continue
                received += 1
                _print(call)
        except KeyboardInterrupt:
            # The way that this is meant to end.
            return


class Receiver:
    """Verifies calls, passes them on, and tells of them."""

    def __init__(self, forward_url: str | None, calls: "queue.Queue[Call]") -> None:
        self.webhook: Webhook | None = None
        self._forward_url = forward_url
        self._calls = calls

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """Takes a call; returns the status to respond with."""
        event, problem = None, None
        try:
            if self.webhook is None:
                raise WebhookVerificationError("its secret is not known yet")
            event = self.webhook.verify(body, headers)
        except (WebhookVerificationError, ValueError) as error:
            problem = str(error)
        forwarded, status = None, HTTPStatus.BAD_REQUEST.value
        if problem is None:
            status = HTTPStatus.NO_CONTENT.value
            if self._forward_url is not None:
                forwarded, problem = self._forward(self._forward_url, headers, body)
                status = forwarded or HTTPStatus.BAD_GATEWAY.value
        is_verified = event is not None
        call = Call(datetime.now(UTC), headers.get("webhook-id"), is_verified, event, forwarded, problem)
        self._calls.put(call)
        return status

    def _forward(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int | None, str | None]:
        passed: dict[str, str] = {name: headers[name] for name in _FORWARDED_HEADERS if name in headers}
        try:
            response = httpx.post(
                url, content=body, headers=passed, timeout=_FORWARD_SECONDS, trust_env=False
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return None, f"{url}: {type(error).__name__}: {error}"
        return response.status_code, None

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """The handler of an HTTP server."""
        receive = self.receive

        class Handler(BaseHTTPRequestHandler):
            # A sender that sends nothing does not keep its thread for ever.
            timeout = 30

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if not length.isdecimal() or int(length) > _LARGEST_BODY:
                    self.send_error(HTTPStatus.LENGTH_REQUIRED)
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.send_response(receive(headers, self.rfile.read(int(length))))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Calls are told of elsewhere."""

        return Handler


@contextmanager
def _serving(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _registered(url: str, user: str | None) -> Iterator[dict[str, Any]]:
    """A webhook for the length of the block."""
    key = str(uuid4())
    try:
        webhook = _register(url, user, key)
    except KeyboardInterrupt:
        # It may be registered all the same: the key finds it.
        _remove(_register(url, user, key), user)
        raise
    try:
        yield webhook
    finally:
        _remove(webhook, user)


def _register(url: str, user: str | None, key: str) -> Any:
    with client(user) as api:
        return api.post_once("webhooks", key, url=url, description="bin/orders webhook listen")


def _remove(webhook: dict[str, Any], user: str | None) -> None:
    """With a token of this time: the one that it was registered with may have ended."""
    identity = webhook["webhookId"]
    try:
        with client(user) as api:
            api.delete(f"webhooks/{identity}")
        notes.print(f"Webhook {identity} is removed.")
    except LocalCloudError as error:
        notes.print(f"The webhook was not removed: {error}\nLater: bin/orders webhook remove {identity}")


def _forward_url(given: str | None) -> str | None:
    if given is None or given.startswith(("http://", "https://")):
        return given
    if given.isdecimal() and 0 < int(given) < 65536:
        return f"http://{LOOPBACK}:{given}/"
    raise typer.BadParameter("it is a port of this machine, or a URL", param_hint="--forward-to")


def _print(call: Call) -> None:
    if current().as_json:
        print_json_line(
            {
                "at": call.at.isoformat(),
                "webhookId": call.webhook_id,
                "verified": call.is_verified,
                "forwardedStatus": call.forwarded_status,
                "problem": call.problem,
                "event": call.event,
            }
        )
        return
    event = call.event if isinstance(call.event, dict) else {}
    data = event.get("data") if isinstance(event.get("data"), dict) else {}
    line = Text.assemble(
        (f"{local_time(call.at)}  ", "dim"),
        ("signature good", "green") if call.is_verified else ("signature BAD", "red bold"),
        f"  {event.get('type', 'unknown')}  {json.dumps(data)}",
    )
    if call.forwarded_status is not None:
        line.append(f"  forwarded: {call.forwarded_status}")
    if call.problem is not None:
        line.append(f"  {call.problem}", "red")
    console.print(line)
