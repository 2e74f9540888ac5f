"""The emulator's process: MiniStack, with two things changed before it starts.

Its Lambda runtime API writes headers and body separately. With Nagle's algorithm the second write waits for the
ACK of the first, which Linux delays by 40 ms: 52 ms for an invocation instead of 9.

Its limit on functions that run at once stands for the account's limit on AWS, a thousand or more, and is enforced by
refusing. Here it is what this machine can do at once, so a burst should wait its turn instead, as a thousand would
not have to. What the template reserves for a function is the system's own policy and refuses as on AWS.
"""

import socketserver
import time
from collections.abc import Callable
from typing import Any, Final

Acquire = Callable[[Any, Any], tuple[Any, str | None]]
"""Answers a slot, or None and the limit that is reached: "function" or "account"."""

PATIENCE_SECONDS: Final = 30
"""As long as API Gateway waits for a function. After that the refusal stands."""

_POLL_SECONDS: Final = 0.005


def waiting_for_capacity(acquire: Acquire) -> Acquire:
    """The same, but it waits while the whole machine is busy."""

    def acquire_in_turn(function: Any, config: Any) -> tuple[Any, str | None]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            slot, limit = acquire(function, config)
            if limit != "account" or time.monotonic() > deadline:
                return slot, limit
            time.sleep(_POLL_SECONDS)

    return acquire_in_turn


def main() -> None:
    """Runs until it is told to end."""
    # Imported here: it reads its settings from the environment when it is imported.
    from ministack.app import main as serve
    from ministack.services import lambda_svc

    socketserver.StreamRequestHandler.disable_nagle_algorithm = True
    lambda_svc._acquire_execution_slot = waiting_for_capacity(lambda_svc._acquire_execution_slot)
    serve()


if __name__ == "__main__":
    main()
