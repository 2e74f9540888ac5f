"""The AWS emulator: MiniStack as a daemon of ours, or one that is already there (EMULATOR=localstack)."""

import json
import shutil
import sys
from collections.abc import Callable
from typing import Final

import httpx

from tools.cloud.ports import is_free
from tools.cloud.processes import Daemon, end_session, listener_on
from tools.cloud.settings import ACCOUNT, LOOPBACK, REGION, Settings
from tools.errors import LocalCloudError
from tools.loopback import is_encrypted

LAMBDA_CONCURRENCY: Final = 28
"""Functions that run at once: the payments that wait for their gateway, and what two cores can serve beside them. More
wait their turn."""

_START_SECONDS: Final = 60
_HEALTH_PATH: Final = "/_localstack/health"
# Long: under load it answers late, and an emulator that does not answer is replaced by a new one.
_HEALTH_TIMEOUT_SECONDS: Final = 15


def start(settings: Settings, before: Callable[[], None] = lambda: None) -> bool:
    """Starts the emulator; False if it was running already. `before` is called when the earlier one has ended.

    Raises LocalCloudError if its port is taken, it does not come up, or one that should be there is not.
    """
    if settings.port is None:
        if not answers(settings):
            raise LocalCloudError(
                f"Nothing answers at {settings.endpoint_url}. Start LocalStack, or unset EMULATOR to use MiniStack."
            )
        return False
    emulator = daemon(settings)
    if emulator.find() is not None and answers(settings):
        return False
    stop(settings)
    if not is_free(settings.port):
        raise LocalCloudError(
            f"Port {settings.port} is taken by {listener_on(settings.port)}. "
            "End it, or choose another port: ORDERS_PORT=4577 make up"
        )
    if settings.temporary.exists():
        shutil.rmtree(settings.temporary)
    settings.temporary.mkdir(parents=True)
    before()
    emulator.start([sys.executable, "-m", "tools.cloud.emulator_process"], _environment(settings))
    emulator.await_ready(lambda: answers(settings), _START_SECONDS)
    return True


def stop(settings: Settings) -> bool:
    """Stops the emulator and the functions it ran, also those that a killed one left; False if there was none.

    An emulator that we did not start is left alone.
    """
    emulator = daemon(settings)
    try:
        session = int(json.loads(emulator.pidfile.read_text())["pid"])
    except FileNotFoundError:
        return False
    stopped = emulator.stop()
    end_session(session, settings.temporary)
    return stopped


def daemon(settings: Settings) -> Daemon:
    return Daemon("The emulator", settings.run / "emulator.json", settings.logs / "emulator.log")


def answers(settings: Settings) -> bool:
    """Whether it is there and healthy. The path is LocalStack's; MiniStack has it too."""
    try:
        response = httpx.get(
            settings.endpoint_url + _HEALTH_PATH,
            timeout=_HEALTH_TIMEOUT_SECONDS,
            verify=is_encrypted(settings.endpoint_url),
        )
        return response.is_success
    except httpx.TransportError:
        return False


def _environment(settings: Settings) -> dict[str, str]:
    # The functions inherit all of it, so it holds no more than this.
    return settings.aws_environment() | {
        "BIND_HOST": LOOPBACK,
        "MINISTACK_HOST": LOOPBACK,
        "GATEWAY_PORT": str(settings.port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "LAMBDA_ACCOUNT_CONCURRENCY": str(LAMBDA_CONCURRENCY),
        # Its default is one place for all emulators of this machine.
        "STATE_DIR": str(settings.emulator_state),
        # Servers that nothing here uses and that would take ports of their own.
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        # Whatever Docker runs on this machine is none of its business.
        "DOCKER_HOST": f"unix://{settings.temporary}/no-docker.sock",
        "PYTHONUNBUFFERED": "1",
    }
