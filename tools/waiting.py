"""The one loop that waits for something."""

import time
from collections.abc import Callable


def wait_until(is_so: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Looks every so many seconds; False if it is not so within the time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
