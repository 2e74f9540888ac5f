"""Loopback is where developers' webhooks lead, and where attackers' do."""

import pytest
from pydantic import ValidationError

from orders.webhooks.settings import WebhookSettings


def start(monkeypatch: pytest.MonkeyPatch, stage: str, **environment: str) -> WebhookSettings:
    for name, value in {"STAGE": stage, "WEBHOOK_KEY_ID": "key", **environment}.items():
        monkeypatch.setenv(name, value)
    return WebhookSettings.from_environment()


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_loopback_is_forbidden_unless_it_is_allowed(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    assert start(monkeypatch, stage).allow_loopback_webhooks is False


def test_the_local_stage_may_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert start(monkeypatch, "local", ALLOW_LOOPBACK_WEBHOOKS="true").allow_loopback_webhooks is True


@pytest.mark.parametrize("stage", ["dev", "prod", "test"])
def test_a_function_of_another_stage_that_is_told_to_allow_it_does_not_start(
    monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    with pytest.raises(ValidationError, match="local stage"):
        start(monkeypatch, stage, ALLOW_LOOPBACK_WEBHOOKS="true")
