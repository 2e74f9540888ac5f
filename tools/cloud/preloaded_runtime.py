"""A process of the functions' interpreter that has imported the libraries, and forks a process for each cold start.

It is run by the functions' own interpreter, with a layer in PYTHONPATH, by `function_starter`: standard library only,
and nothing of the project's. It imports libraries, never a function's code or the layer's own: those read the
environment, which is the function's.

Each request is one message on standard input, a socket: a process's environment, directory and handler, and the
descriptor of its output. The response is its pid. The process is made by another one that ends at once, so that it
becomes a child of whoever asked, who has made itself the reaper of its descendants.
"""

import ctypes
import importlib
import json
import os
import socket
import sys
from contextlib import suppress
from typing import Any, Final

# Not the runtime client: what it is made of reads the environment when it is loaded.
LIBRARIES: Final = (
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    "botocore.session",
    "pg8000.dbapi",
    "pydantic",
    "sqlalchemy",
    "sqlalchemy.dialects.postgresql.pg8000",
)
MOST_BYTES: Final = 128 * 1024
"""Of a request. Linux limits an environment of a function on AWS to 4 KiB; a laptop's own may be larger."""
HANDLER_LENGTH: Final = 200
"""So much room the last argument has, for the handler's name."""

_ARGUMENTS_END: Final = 48
"""In /proc/self/stat, from the start: where the command line ends in memory."""


def main() -> None:
    """Serves until nobody is left to ask."""
    # A layer need not have them all.
    for library in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(library)
    requests = socket.socket(fileno=sys.stdin.fileno())
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, MOST_BYTES, 1)
        if not message:
            return
        request = json.loads(message)
        requests.send(str(_fork(request, descriptors[0], requests)).encode())
        os.close(descriptors[0])


def _fork(request: dict[str, Any], output: int, requests: socket.socket) -> int:
    """The pid of a new process that is nobody's child here."""
    reader, writer = os.pipe()
    go_between = os.fork()
    if go_between == 0:
        process = os.fork()
        if process == 0:
            _become(request, output, requests)
        os.write(writer, str(process).encode())
        os._exit(0)
    os.waitpid(go_between, 0)
    pid = int(os.read(reader, 32))
    os.close(reader)
    os.close(writer)
    return pid


def _become(request: dict[str, Any], output: int, requests: socket.socket) -> None:
    """Runs the runtime client, as the function's bootstrap would."""
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        requests.detach()
        for descriptor, number in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(descriptor, number)
        os.closerange(3, 256)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["directory"])
        sys.path[0] = request["directory"]
        _show_handler(request["handler"])
        importlib.import_module("awslambdaric.__main__").main(["awslambdaric", request["handler"]])
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)


def _show_handler(handler: str) -> None:
    """Writes it into the command line, where `ps` and those who look for a function's process read it."""
    with open("/proc/self/stat") as stat:  # noqa: PTH123 - pathlib is not imported here
        end = int(stat.read().rsplit(")", 1)[1].split()[_ARGUMENTS_END - 2])
    ctypes.memmove(end - 1 - HANDLER_LENGTH, handler.encode().ljust(HANDLER_LENGTH), HANDLER_LENGTH)


if __name__ == "__main__":
    main()
