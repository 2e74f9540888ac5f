"""`orders audit` is for people and for programs: a broken promise is seen, and is an exit code."""

import json

import pytest
from typer.testing import CliRunner

from tools.audit import database, evidence
from tools.audit.verdict import Verdict, Violation
from tools.cli import audit
from tools.cloud import local_cloud

HOLDS = Verdict("I2", "At most one capture", 20)
BROKEN = Verdict("I4", "Stock adds up", 3, (Violation("product-1", "1 is missing"),))


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> list[Verdict]:
    """What the audit of a local cloud finds; a test adds to it."""
    found = [HOLDS]
    stack = {"database_url": "postgresql+pg8000://nowhere"}
    monkeypatch.setattr(local_cloud, "require_up", lambda settings: stack)
    monkeypatch.setattr(database, "await_rest", lambda engine, seconds: ["order 1 is PENDING"])
    monkeypatch.setattr(evidence, "gather", lambda settings, stack, engine: None)
    monkeypatch.setattr(evidence, "judge", lambda gathered: found)
    return found


def test_every_promise_is_shown_and_what_is_still_under_way(verdicts: list[Verdict]) -> None:
    result = CliRunner().invoke(audit.app)

    assert result.exit_code == 0
    assert "At most one capture" in result.output
    assert "not at rest: order 1 is PENDING" in result.output
    assert "Every promise held." in result.output


def test_a_broken_promise_is_shown_with_its_subject_and_fails(verdicts: list[Verdict]) -> None:
    verdicts.append(BROKEN)

    result = CliRunner().invoke(audit.app)

    assert result.exit_code == 1
    assert "I4 broken: product-1 1 is missing" in result.output


def test_the_json_says_it_all(verdicts: list[Verdict]) -> None:
    verdicts.append(BROKEN)

    result = CliRunner().invoke(audit.app, ["--json"])

    assert result.exit_code == 1
    content = json.loads(result.output)
    assert content["ok"] is False
    assert content["underWay"] == ["order 1 is PENDING"]
    assert [promise["promise"] for promise in content["promises"]] == ["I2", "I4"]
    assert content["promises"][1]["violations"] == [{"subject": "product-1", "problem": "1 is missing"}]
