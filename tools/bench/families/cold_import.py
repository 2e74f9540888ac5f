"""Cold imports: every handler in the environment that it has on the local cloud, with byte code.

Of several imports the quickest counts: nothing makes one quicker than it is, and much on a shared machine slower.
"""

import subprocess
from typing import Final

from infra.assets import function_directory, runtime_interpreter
from orders.db import Credentials
from tools.bench.run import Bench

_ROUNDS: Final = 5
_NO_DATABASE: Final = Credentials(username="", password="", host="", port=0, dbname="")
"""An import connects to none."""
_IMPORT: Final = """
import sys, time
sys.path.insert(0, sys.argv[1])
started = time.perf_counter()
__import__(sys.argv[2])
print(1000 * (time.perf_counter() - started))
"""


def measure(bench: Bench) -> None:
    times: dict[str, list[float]] = {package: [] for package in bench.functions}
    for _ in range(_ROUNDS):
        for package, milliseconds in times.items():
            milliseconds.append(_import(bench, package))
    for package, milliseconds in times.items():
        bench.report.add(f"cold import of {package}", min(milliseconds), "ms")
    bench.report.add("cold import, slowest handler", max(map(min, times.values())), "ms")


def _import(bench: Bench, package: str) -> float:
    """The milliseconds that a new process takes to import the handler."""
    command = [str(runtime_interpreter()), "-c", _IMPORT, str(function_directory(package, "local"))]
    done = subprocess.run(
        [*command, f"functions.{package}.handler"],
        env=bench.environment(package, _NO_DATABASE),
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout.splitlines()[-1])
