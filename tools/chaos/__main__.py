"""`python -m tools.chaos`: one run of fault injection on a local cloud of its own, and the verdict on every promise.

The exit code is 0 only if no promise was broken, everything came to rest within five minutes of healing, and every
fault struck often enough: five times from 300 orders on, in proportion with fewer orders, and once at least.
"""

import argparse
import logging
import random
import signal
import sys
from types import FrameType
from typing import Final, NoReturn

from tools.chaos import plan
from tools.chaos.plan import Fault
from tools.chaos.run import run
from tools.cloud import local_cloud
from tools.cloud.local_cloud import new_sandbox
from tools.cloud.settings import ROOT
from tools.console import console_of_width
from tools.errors import LocalCloudError

OUTPUT: Final = ROOT / ".local"
_WIDTH: Final = 120
_FAULTS: Final = {fault.name.lower().replace("_", "-"): fault for fault in Fault}


def main() -> int:
    """Runs what was asked for; 1 if something is not as it should be."""
    arguments = _arguments()
    console = console_of_width(_WIDTH)
    planned = plan.make(arguments.seed, arguments.orders, [_FAULTS[name] for name in arguments.faults])
    settings = new_sandbox("chaos").settings
    signal.signal(signal.SIGTERM, _interrupt)
    # Faults strike our own connections too, and SQLAlchemy would print a traceback for each that it cannot close.
    logging.getLogger("sqlalchemy.pool").addHandler(logging.NullHandler())
    try:
        report = run(settings, local_cloud.up(settings, console.print), planned, console.print)
        report.write(OUTPUT / "chaos.json")
        report.write_page(OUTPUT / "chaos.html")
        report.show(console)
    finally:
        local_cloud.down(settings, console.print)
    console.print(f"Again: make chaos SEED={planned.seed} ORDERS={len(planned.orders)}", soft_wrap=True)
    console.print(f"Report: {OUTPUT / 'chaos.html'}. Logs: {settings.logs}", soft_wrap=True)
    return 1 if report.failures else 0


def _interrupt(signal_number: int, frame: FrameType | None) -> NoReturn:
    """A polite kill is an interrupt like Ctrl-C: the cloud is stopped."""
    raise KeyboardInterrupt


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seed", type=_seed, default="", help="any number; the same again is the same orders and faults"
    )
    parser.add_argument("--orders", type=_positive, default=plan.DEFAULT_ORDERS, help="default: %(default)s")
    parser.add_argument(
        "--faults",
        nargs="+",
        choices=_FAULTS,
        default=list(_FAULTS),
        metavar="FAULT",
        help="only these: " + ", ".join(_FAULTS),
    )
    return parser.parse_args()


def _seed(given: str) -> int:
    """Without one, one is drawn: it is printed, so that the run can be repeated."""
    return int(given) if given else random.SystemRandom().randrange(1_000_000)


def _positive(given: str) -> int:
    number = int(given)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one order")
    return number


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocalCloudError as error:
        sys.exit(f"\n{error}")
