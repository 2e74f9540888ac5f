"""The demonstration's scenarios and promises, each as a test: run once, asserted one by one."""

import pytest

from tools.demo.report import Report
from tools.demo.scenarios import scenarios

SCENARIOS = [scenario.name for scenario in scenarios()]
PROMISES = ["I1", "I2", "I3", "I4", "I5", "I7", "I8", "I9", "I10", "I11", "I13"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_scenario_ends_as_expected(report: Report, name: str) -> None:
    (result,) = [result for result in report.results if result.scenario.name == name]
    assert result.differences == ()


@pytest.mark.parametrize("promise", PROMISES)
def test_the_promise_holds(report: Report, promise: str) -> None:
    verdicts = [verdict for verdict in report.verdicts if verdict.promise == promise]
    assert verdicts
    for verdict in verdicts:
        assert verdict.violations == ()
        assert verdict.checked > 0, "a check that looked at nothing proves nothing"


def test_every_mail_was_counted_in_the_mailbox(report: Report) -> None:
    messages = sum(
        number * len(ending.told)
        for result in report.results
        for ending, number in result.scenario.endings.items()
    )
    in_database, in_mailbox = (verdict for verdict in report.verdicts if verdict.promise == "I11")
    assert in_database.checked == in_mailbox.checked == messages


def test_nothing_ended_in_a_dead_letter_queue_and_nothing_is_left_under_way(report: Report) -> None:
    assert set(report.dead_letters.values()) == {(0, 0)}
    assert report.under_way == ()
