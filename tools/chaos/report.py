"""What a run came to: on the terminal, as JSON, and as a page for a browser."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Final

from rich.table import Table
from rich.text import Text

from orders.domain import OrderStatus
from tools.audit.verdict import Verdict, broken, promise_table
from tools.chaos.faults import Injection
from tools.chaos.plan import Fault, Plan
from tools.chaos.verdicts import Repair
from tools.console import CROSS, MOST_SHOWN, TICK, WARNING, Console, report_table

_PAGE_WIDTH: Final = 120


@dataclass(frozen=True)
class FaultCount:
    """How often a fault struck."""

    fault: Fault
    struck: int
    minimum: int

    @property
    def is_enough(self) -> bool:
        return self.struck >= self.minimum


@dataclass(frozen=True)
class Report:
    """A run, judged."""

    plan: Plan
    statuses: Mapping[OrderStatus, int]
    faults: tuple[FaultCount, ...]
    injections: tuple[Injection, ...]
    verdicts: tuple[Verdict, ...]
    under_way: tuple[str, ...]
    """What had not come to rest in time."""
    failures_of_nemesis: tuple[str, ...]
    terminal_seconds: float | None
    """From the healing until every order had ended."""
    rest_seconds: float
    """From the healing until nothing moved any more."""
    redriven: tuple[str, ...]
    repairs: tuple[Repair, ...]
    seconds: float
    """Of the run: orders, faults, healing, rest. Not of the deploy."""

    @property
    def failures(self) -> tuple[str, ...]:
        """Everything that is not as it should be, a line each. Nothing: the run succeeded."""
        return (
            *broken(self.verdicts),
            *(
                f"{verdict.promise} was not shown: {verdict.sentence}: nothing to check"
                for verdict in self.verdicts
                if self.plan.is_whole and not verdict.checked
            ),
            *(
                f"struck {count.struck} times instead of {count.minimum}: {count.fault}"
                for count in self.faults
                if not count.is_enough
            ),
            *(f"not at rest: {thing}" for thing in self.under_way),
            *(f"fault not carried out: {failure}" for failure in self.failures_of_nemesis),
        )

    @property
    def outcome(self) -> str:
        """The last word, in one sentence."""
        if self.failures:
            return f"{len(self.failures)} things are not as they should be."
        return "No promise was broken, and every fault struck."

    def write(self, path: Path) -> None:
        """As JSON, for programs and for comparing runs."""
        content = {
            "seed": self.plan.seed,
            "ok": not self.failures,
            "orders": {"planned": len(self.plan.orders)}
            | {str(name): n for name, n in self.statuses.items()},
            "seconds": round(self.seconds, 1),
            "secondsFromHealingToLastOrder": self.terminal_seconds and round(self.terminal_seconds, 1),
            "secondsFromHealingToRest": round(self.rest_seconds, 1),
            "promises": [asdict(verdict) for verdict in self.verdicts],
            "faults": [asdict(count) for count in self.faults],
            "strikes": [asdict(injection) for injection in self.injections],
            "repairs": [f"{repair.kind} {repair.order_id} {repair.detail}" for repair in self.repairs],
            "redriven": list(self.redriven),
            "failures": list(self.failures),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def write_page(self, path: Path) -> None:
        """What `show` prints and every single fault, as one HTML file that needs no network."""
        console = Console(file=StringIO(), record=True, width=_PAGE_WIDTH)
        self.show(console)
        console.print(self._injection_table())
        path.parent.mkdir(parents=True, exist_ok=True)
        console.save_html(str(path))

    def show(self, console: Console) -> None:
        title = "Promises, checked everywhere that something is on record"
        console.print(promise_table(title, self.verdicts, unchecked=CROSS))
        console.print(self._fault_table())
        for line in self.summary:
            console.print(line)
        remarks = Counter(
            f"{verdict.promise}: {remark.problem}" for verdict in self.verdicts for remark in verdict.remarks
        )
        for remark, number in list(remarks.items())[:MOST_SHOWN]:
            console.print(WARNING, f"{number} × {remark}")
        for failure in self.failures[:MOST_SHOWN]:
            console.print(CROSS, failure, soft_wrap=True)
        console.print(Text(self.outcome, "red bold" if self.failures else "green bold"))

    @property
    def summary(self) -> tuple[str, ...]:
        """What happened, in figures, a line each."""
        ended = ", ".join(f"{number} {status}" for status, number in self.statuses.items())
        repairs = Counter(repair.kind for repair in self.repairs)
        last = "never" if self.terminal_seconds is None else f"{self.terminal_seconds:.0f} s"
        return (
            f"Seed {self.plan.seed}: {len(self.plan.orders)} orders, {ended}",
            f"From the healing to the end of the last order {last}, to rest {self.rest_seconds:.0f} s; "
            f"{self.seconds:.0f} s in all",
            "Repaired: " + (", ".join(f"{number} {kind}" for kind, number in repairs.items()) or "nothing"),
            f"Redriven: {len(self.redriven)} events that had been given up",
        )

    def _fault_table(self) -> Table:
        table = report_table("Faults", "", "Fault", numbers=("Struck", "At least"))
        for count in self.faults:
            table.add_row(
                TICK if count.is_enough else CROSS, count.fault, str(count.struck), str(count.minimum)
            )
        return table

    def _injection_table(self) -> Table:
        table = report_table("Every fault that struck", "Second", "Fault", "Victim")
        for injection in self.injections:
            table.add_row(f"{injection.at:.1f}", injection.fault, injection.victim)
        return table
