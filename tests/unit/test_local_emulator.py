import time
from typing import Any

import pytest

from local import emulator_process
from local.emulator_process import waiting_for_capacity


def test_a_burst_waits_while_the_machine_is_busy() -> None:
    answers = iter([(None, "account"), (None, "account"), ("slot", None)])
    assert waiting_for_capacity(lambda function, config: next(answers))({}, {}) == ("slot", None)


def test_a_functions_own_limit_refuses_at_once() -> None:
    answers = iter([(None, "function")])
    assert waiting_for_capacity(lambda function, config: next(answers))({}, {}) == (None, "function")


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator_process, "PATIENCE_SECONDS", 0.05)

    def busy(function: Any, config: Any) -> tuple[None, str]:
        return None, "account"

    started = time.monotonic()
    assert waiting_for_capacity(busy)({}, {}) == (None, "account")
    assert time.monotonic() - started < 5
