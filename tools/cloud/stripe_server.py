"""Stripe on this machine (`tools.stripe`) as a daemon of ours, for a local cloud that takes payments through it."""

import sys
from pathlib import Path
from typing import Final

import httpx

from tools.cloud import stack
from tools.cloud.ports import free_port, is_free
from tools.cloud.processes import Daemon
from tools.cloud.settings import LOOPBACK, Settings
from tools.stripe.server import API_KEY

_START_SECONDS: Final = 30
_TIMEOUT_SECONDS: Final = 5
# It needs no key, and leaves no trace among the requests.
_READY_PATH: Final = "/js.stripe.com/v3/"


def start(settings: Settings) -> bool:
    """Starts it with what it knew before; False if it was running already.

    It keeps its port as long as nobody else takes it: the functions that are deployed know its URL.
    Raises LocalCloudError if it does not come up.
    """
    server = daemon(settings)
    if server.find() is not None and _answers(url(settings)):
        return False
    server.stop()
    port = _known_port(settings)
    if port is None or not is_free(port):
        port = free_port()
        stack.write_json(_port_file(settings), port)
    command = [sys.executable, "-m", "tools.stripe"]
    options = ["--port", str(port), "--api-key", API_KEY, "--state", str(_state_file(settings))]
    server.start([*command, *options], settings.inherited)
    server.await_ready(lambda: _answers(url(settings)), _START_SECONDS)
    return True


def stop(settings: Settings) -> bool:
    """Stops it; False if it was not running. What it knows is kept."""
    return daemon(settings).stop()


def daemon(settings: Settings) -> Daemon:
    return Daemon("Stripe's fake", settings.run / "stripe.json", settings.logs / "stripe.log")


def is_running(settings: Settings) -> bool:
    return daemon(settings).find() is not None and _answers(url(settings))


def has_records(settings: Settings) -> bool:
    """Whether payments of this local cloud's database were made through it."""
    return _state_file(settings).exists()


def url(settings: Settings) -> str:
    """Stripe's API base, without `/v1`."""
    return f"http://{LOOPBACK}:{_known_port(settings)}"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url + _READY_PATH, timeout=_TIMEOUT_SECONDS).is_success
    except httpx.TransportError:
        return False


def _known_port(settings: Settings) -> int | None:
    port: int | None = stack.read_json(_port_file(settings))
    return port


def _port_file(settings: Settings) -> Path:
    return settings.run / "stripe-port.json"


def _state_file(settings: Settings) -> Path:
    """With what else belongs to the database: another one has no payments that it knows."""
    return settings.emulator_state / "stripe.pickle"
