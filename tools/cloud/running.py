"""The local cloud that is up."""

from tools.cloud import emulator, postgres, stack
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack
from tools.errors import LocalCloudError


def running(settings: Settings) -> Stack:
    """The stack.

    Raises:
        LocalCloudError: it is not up.
    """
    found = find(settings)
    if found is None:
        raise LocalCloudError("The local cloud is not up. Start it with: make up")
    return found


def find(settings: Settings) -> Stack | None:
    """The stack, if everything that it needs is running."""
    if postgres.daemon(settings).find() is None or not emulator.answers(settings):
        return None
    return stack.read(settings)
