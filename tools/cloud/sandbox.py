"""Local clouds with a home and a port of their own: the developer's is left alone."""

import os
import shutil
import socket
from dataclasses import dataclass
from unittest import mock

from tools.cloud import local_cloud
from tools.cloud.settings import LOOPBACK, ROOT, Settings

_SYNTHESIZED = "cdk.out"


@dataclass(frozen=True)
class Sandbox:
    """Where such a cloud is: for this process, and for the commands that it starts."""

    settings: Settings
    environment: dict[str, str]


def new_sandbox(name: str) -> Sandbox:
    """A home below `.local` without any state, and a free port. What a killed run left there is stopped and removed
    first; what was synthesized from the same inputs is kept."""
    home = ROOT / ".local" / name
    changes = {"ORDERS_HOME": str(home), "ORDERS_PORT": str(_free_port()), "EMULATOR": "ministack"}
    environment = os.environ | changes
    with mock.patch.dict(os.environ, changes):
        settings = Settings.from_environment()
    if home.exists():
        local_cloud.down(settings, print)
        for path in home.iterdir():
            if path.is_dir() and path.name != _SYNTHESIZED:
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()
    return Sandbox(settings, environment)


def _free_port() -> int:
    with socket.socket() as candidate:
        candidate.bind((LOOPBACK, 0))
        port: int = candidate.getsockname()[1]
        return port
