"""The local cloud that is up."""

from local import emulator, postgres, stack
from local.errors import LocalCloudError
from local.settings import Settings
from local.stack import Stack


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
