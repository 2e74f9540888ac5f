"""Starts `relay_process`."""

import json
import os
import subprocess
import sys
from pathlib import Path

from orders.db import Credentials
from tests.integration.relay.outbox_setup import queue_urls
from tools.aws_server import SqsServer

ROOT = Path(__file__).resolve().parents[3]


def start(mode: str, credentials: Credentials, server: SqsServer) -> subprocess.Popen[bytes]:
    arguments = [mode, credentials.model_dump_json(), json.dumps(queue_urls(server))]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.relay.relay_process", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "layers/shared/python")])},
    )
