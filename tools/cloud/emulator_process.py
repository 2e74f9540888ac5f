"""The emulator's process: MiniStack, with thirteen things changed before it starts.

Its Lambda runtime API writes headers and body separately. With Nagle's algorithm the second write waits for the
ACK of the first, which Linux delays by 40 ms: 52 ms for an invocation instead of 9.

Its limit on functions that run at once stands for the account's limit on AWS, a thousand or more, and is enforced by
refusing. Here it is what this machine can do at once, so a burst should wait its turn instead, as a thousand would
not have to. What the template reserves for a function is the system's own policy and refuses as on AWS.

After each invocation it waits for what the function may still have to log: 50 ms if it has logged nothing. The runtime
client has written its lines before it posts the result, so only the thread that reads them can be late.

It gives a cold start up after ten seconds, as AWS does, and begins it again. On a machine that is too busy for that,
the starts that are begun again keep it so.

It starts a function's process from nothing: see `function_starter`.

Each idle process of a function wakes it twenty times a second, to ask whether there is an invocation or a reason to
end. Seventy of them cost 7 % of a core while nothing happens, and a fifth of the emulator's time in a burst.

It builds the pattern of every route anew for every request.

Its SQS has no message move tasks, by which AWS redrives a dead-letter queue.

Its CloudWatch Logs take a filter pattern for JSON for "everything": see `log_patterns`.

Its HTTP APIs know no origin with any port, leave CORS headers off their own refusals, and destroy compressed JSON.

It forgets who is who when it ends: see `kept_identity`.
"""

import contextlib
import functools
import queue
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from tools.cloud import http_api, log_patterns
from tools.cloud.function_starter import FunctionStarter
from tools.cloud.message_moves import MessageMoves
from tools.cloud.settings import IDENTITY_FILE, LOOPBACK

Acquire = Callable[[Any, Any], tuple[Any, str | None]]
"""Answers a slot, or None and the limit that is reached: "function" or "account"."""
Release = Callable[[Any], None]
"""Gives a slot back."""

PATIENCE_SECONDS: Final = 30
"""As long as API Gateway waits for a function. After that the refusal stands."""

START_SECONDS: Final = 60.0
"""For a cold start, which AWS grants ten. Half a second of work, but a busy machine may take longer than ten for it:
given up and begun again, a dozen starts at once would keep it busy for ever."""

_FIRST_LINE_SECONDS: Final = 0.002
_NEXT_LINE_SECONDS: Final = 0.001
"""How long lines that are written already take to be read."""

_IDLE_SECONDS: Final = 1.0
"""How often an idle process of a function is looked after. What happens to it is noticed at once."""

_REMEMBERED_PATHS: Final = 4096
"""Of the requests' paths, each with a route's, so many comparisons are remembered."""


class Turns:
    """The emulator's slots, for which callers wait in turn while the whole machine is busy.

    Each freed slot wakes one of them: if all of a burst kept asking, they would take the processor that they wait for.
    """

    def __init__(self, acquire: Acquire, release: Release) -> None:
        self._acquire = acquire
        self._release = release
        self._freed = threading.Condition()

    def acquire(self, function: Any, config: Any) -> tuple[Any, str | None]:
        """The same as the emulator's, but it waits while the account's limit is reached."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._freed:
            slot, limit = self._acquire(function, config)
            while limit == "account" and self._freed.wait(deadline - time.monotonic()):
                slot, limit = self._acquire(function, config)
            if slot is None:
                # It has no use for the slot that it may have been woken for.
                self._freed.notify()
            return slot, limit

    def release(self, slot: Any) -> None:
        """The same as the emulator's, and it wakes whoever has waited longest."""
        with self._freed:
            self._release(slot)
            self._freed.notify()


class PatientQueue:
    """A function's next invocation, for which its process waits without being asked ten times a second."""

    def __init__(self, pending: queue.Queue[Any]) -> None:
        self._pending = pending

    def get(self, timeout: float) -> Any:
        """Raises queue.Empty when there is none for a second, whatever the emulator's own patience."""
        return self._pending.get(timeout=max(timeout, _IDLE_SECONDS))


class PatientServer(socketserver.ThreadingTCPServer):
    """The runtime API of one process. It ends when it is told to, and not at its next look at the clock."""

    def serve_forever(self, poll_interval: float = _IDLE_SECONDS) -> None:
        """Looks for the end once a second; a connection makes it look at once."""
        super().serve_forever(max(poll_interval, _IDLE_SECONDS))

    def shutdown(self) -> None:
        """Makes it look as soon as the end is asked for, which is what the standard library's does first."""
        ending = threading.Thread(target=super().shutdown)
        ending.start()
        while ending.is_alive():
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.server_address[1])):
                ending.join(timeout=_NEXT_LINE_SECONDS)


def main() -> None:
    """Runs until it is told to end."""
    # Imported here: it reads its settings from the environment when it is imported.
    from ministack.app import main as serve
    from ministack.core import lambda_runtime, persistence
    from ministack.core.lambda_runtime import ProvidedWorker
    from ministack.services import apigateway, cloudwatch_logs, cognito, lambda_svc, sqs
    from ministack.services.cloudformation import provisioners

    from tools.cloud.kept_identity import KeptIdentity

    socketserver.StreamRequestHandler.disable_nagle_algorithm = True
    ProvidedWorker._drain_stderr_bounded = functools.partialmethod(
        ProvidedWorker._drain_stderr_bounded,
        first_line_wait=_FIRST_LINE_SECONDS,
        idle_confirm=_NEXT_LINE_SECONDS,
    )
    lambda_runtime._PROVIDED_INIT_TIMEOUT = START_SECONDS
    handlers = ProvidedWorker._build_handler_class
    ProvidedWorker._build_handler_class = lambda worker, generation, pending: handlers(
        worker, generation, PatientQueue(pending)
    )
    socketserver.ThreadingTCPServer = PatientServer  # type: ignore[misc]
    for pure in ("_path_matches", "_route_specificity"):
        remembering = functools.lru_cache(_REMEMBERED_PATHS)(getattr(apigateway, pure))
        setattr(apigateway, pure, remembering)
    http_api.install(apigateway)
    turns = Turns(lambda_svc._acquire_execution_slot, lambda_svc._release_execution_slot)
    lambda_svc._acquire_execution_slot = turns.acquire
    lambda_svc._release_execution_slot = turns.release
    KeptIdentity(Path(persistence.STATE_DIR) / IDENTITY_FILE).install(cognito, apigateway, provisioners)
    sqs._HANDLERS.update(MessageMoves(sqs).handlers())
    cloudwatch_logs._compile_filter_pattern = log_patterns.with_json(cloudwatch_logs._compile_filter_pattern)
    with contextlib.ExitStack() as stack:
        if FunctionStarter.is_possible():
            starter = stack.enter_context(FunctionStarter())
            lambda_runtime.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": starter.popen})
        serve()


if __name__ == "__main__":
    main()
