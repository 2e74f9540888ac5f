"""Runs one function's handler, over and over, as the Lambda service would: in a process of its own, kept warm.

Run by the interpreter and with the path that the function has on the local cloud, so it may import nothing but the
standard library and what the function ships. A line of JSON on standard input asks for a round of invocations, a line
on standard output is the response; a handler's own output goes where nobody reads it.
"""

import importlib
import json
import os
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TextIO


@dataclass
class Context:
    """What a handler sees of its invocation."""

    ends_at: float
    function_name: str = "orders-bench"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:orders-bench"
    aws_request_id: str = "9a3f3c54-0000-4000-8000-000000000001"

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self.ends_at - time.monotonic()))


@cache
def resolve(name: str) -> Any:
    """The handler by its dotted name."""
    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(module), function)


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Invokes one handler after the other; returns the times in nanoseconds, and what the handlers returned."""
    nanoseconds, answers = [], []
    for name, event in request["calls"]:
        handler = resolve(name)
        context = Context(time.monotonic() + request["seconds"])
        started = time.perf_counter_ns()
        answer = handler(event, context)
        nanoseconds.append(time.perf_counter_ns() - started)
        answers.append(answer)
    return {"nanoseconds": nanoseconds, "answers": answers}


def serve(questions: TextIO, answers: TextIO) -> None:
    for line in questions:
        answers.write(json.dumps(run(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "w") as answers, Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        sys.path.insert(0, sys.argv[1])
        serve(sys.stdin, answers)
