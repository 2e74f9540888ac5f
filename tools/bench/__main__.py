"""`python -m tools.bench`: measures everything, or the families named with `--only`.

The exit code is 1 if a budget is missed or could not be measured.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from tools.bench import deployed, growth, handlers, plot, relay
from tools.bench.report import Report, markdown, read
from tools.bench.run import Bench
from tools.cloud.local_cloud import new_sandbox
from tools.cloud.settings import ROOT
from tools.console import Console

# In-process first: once the local cloud is up, nothing else has the machine for itself.
FAMILIES: Final[dict[str, Callable[[Bench], None]]] = {
    "cold_import": handlers.cold_import,
    "create_order": handlers.create_order,
    "saga": handlers.saga,
    "relay": relay.measure,
    "reads": handlers.reads,
    "growth": growth.measure,
    "accepting": deployed.accepting,
    "fulfilment": deployed.fulfilment,
    "bursts": deployed.bursts,
    "buyers": deployed.buyers,
}
OUTPUT: Final = ROOT / ".local"
RESULTS: Final = OUTPUT / "bench.json"


def main() -> int:
    """Runs what was asked for; 1 if a budget is missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=FAMILIES, metavar="FAMILY", help=", ".join(FAMILIES))
    parser.add_argument(
        "--markdown",
        action="store_true",
        help="print the last run's table for docs/performance.md, measure nothing",
    )
    arguments = parser.parse_args()
    if arguments.markdown:
        print(markdown(read(RESULTS)))
        return 0
    chosen = arguments.only or list(FAMILIES)
    console = Console()
    report = Report(console)
    started = time.monotonic()
    _measure(report, chosen)
    is_good = report.close(set(chosen))
    report.write(RESULTS)
    console.print(report.table())
    if plot.write(report, OUTPUT / "bench.svg"):
        console.print(f"Plotted in {OUTPUT / 'bench.svg'}")
    console.print(f"{time.monotonic() - started:.0f} s. Every budget is met: {'yes' if is_good else 'no'}")
    return 0 if is_good else 1


def _measure(report: Report, families: Sequence[str]) -> None:
    """One family after the other; one that fails costs its own budgets, not those of the others."""
    started = time.monotonic()
    with Bench.running(new_sandbox("bench").settings, report) as bench:
        for family in families:
            report.say(f"{family} ({time.monotonic() - started:.0f} s)")
            try:
                FAMILIES[family](bench)
            except Exception:
                report.failed(family)


if __name__ == "__main__":
    sys.exit(main())
