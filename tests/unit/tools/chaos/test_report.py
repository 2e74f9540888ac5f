"""The exit code is the report's: it must not be good by accident."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from orders.domain import OrderStatus
from orders.ids import uuid7
from tools.audit.verdict import Verdict, Violation
from tools.chaos import plan
from tools.chaos.faults import Injection
from tools.chaos.plan import Fault
from tools.chaos.report import FaultCount, Report
from tools.chaos.verdicts import Repair
from tools.console import Console

GOOD = Report(
    plan=plan.make(1, 20),
    statuses={OrderStatus.CONFIRMED: 15, OrderStatus.CANCELLED: 5},
    faults=(FaultCount(Fault.KILL_RELAY, 5, 5),),
    injections=(Injection(Fault.KILL_RELAY, 1.5, "outbox_relay, its <statement> never sent"),),
    verdicts=(Verdict("I2", "At most one capture", 20),),
    under_way=(),
    failures_of_nemesis=(),
    terminal_seconds=12.3,
    rest_seconds=20.0,
    redriven=(),
    repairs=(Repair("SAGA_RESUMED", uuid7(), "execution=order-1-r1"),),
    seconds=60.0,
)


def test_a_run_without_a_fault_of_its_own_has_no_failures() -> None:
    assert GOOD.failures == ()


@pytest.mark.parametrize(
    ("bad", "failure"),
    [
        (
            replace(
                GOOD, verdicts=(Verdict("I2", "At most one", 1, (Violation("an order", "paid twice"),)),)
            ),
            "I2 broken: an order paid twice",
        ),
        (
            replace(GOOD, verdicts=(Verdict("I2", "At most one", 0),)),
            "I2 was not shown: At most one: nothing to check",
        ),
        (
            replace(GOOD, faults=(FaultCount(Fault.KILL_RELAY, 4, 5),)),
            "struck 4 times instead of 5: relay killed between send and mark",
        ),
        (replace(GOOD, under_way=("order 1 is PENDING",)), "not at rest: order 1 is PENDING"),
        (replace(GOOD, failures_of_nemesis=("it stumbled",)), "fault not carried out: it stumbled"),
    ],
)
def test_anything_that_is_not_as_it_should_be_is_a_failure(bad: Report, failure: str) -> None:
    assert bad.failures == (failure,)


def test_the_json_says_it_all(tmp_path: Path) -> None:
    GOOD.write(tmp_path / "chaos.json")
    written = json.loads((tmp_path / "chaos.json").read_text())
    assert written["ok"] is True
    assert written["seed"] == 1
    assert written["orders"] == {"planned": 20, "CONFIRMED": 15, "CANCELLED": 5}
    assert written["promises"][0]["checked"] == 20
    assert written["faults"] == [{"fault": "relay killed between send and mark", "struck": 5, "minimum": 5}]


def test_the_page_asks_nobody_for_anything_and_shows_what_was_hit(tmp_path: Path) -> None:
    GOOD.write_page(tmp_path / "chaos.html")
    drawn = (tmp_path / "chaos.html").read_text()
    assert "outbox_relay, its &lt;statement&gt; never sent" in drawn
    assert "No promise was broken" in drawn
    for request in ("http:", "https:", "src=", "@import", "url("):
        assert request not in drawn


def test_the_terminal_shows_promises_faults_and_the_last_word() -> None:
    screen = StringIO()
    GOOD.show(Console(file=screen, width=120))
    for part in (
        "At most one capture",
        "relay killed between send and mark",
        "15 CONFIRMED",
        "No promise was",
    ):
        assert part in screen.getvalue()
