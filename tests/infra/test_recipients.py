"""Messages go to recipients who agreed, so many of them an hour, and text messages cost no more than so much."""

import json

import pytest

from tests.infra.stacks import SynthesizedStack


@pytest.mark.parametrize("channel", ["email", "sms"])
def test_only_the_local_stage_sends_anything_to_whoever_has_not_agreed(
    stack: SynthesizedStack, channel: str
) -> None:
    limits = json.loads(stack.environment("notify")["MESSAGE_LIMITS"])[channel]
    assert (limits["unconfirmed"] > 0) == (stack.stage.name == "local")
    assert limits["unconfirmed"] <= 5


@pytest.mark.parametrize("channel", ["email", "sms"])
def test_no_recipient_gets_all_that_a_user_may_cause_and_no_user_causes_all_of_the_stage(
    prod: SynthesizedStack, channel: str
) -> None:
    limits = json.loads(prod.environment("notify")["MESSAGE_LIMITS"])[channel]
    assert 0 < limits["recipient"] < limits["user"] < limits["stage"]


def test_codes_are_few(stack: SynthesizedStack) -> None:
    limits = json.loads(stack.environment("recipients")["CODE_LIMITS"])
    assert 0 < limits["recipient"] <= 5
    assert limits["recipient"] < limits["user"] < limits["stage"]


def test_deliveries_that_are_sent_again_are_limited(stack: SynthesizedStack) -> None:
    assert 0 < int(stack.environment("webhooks")["REDELIVERIES_PER_HOUR"]) <= 60


def test_the_key_of_the_codes_is_generated_and_long_and_none_of_the_webhooks(stack: SynthesizedStack) -> None:
    key = stack.secrets["code-key"]
    assert "SecretString" not in key
    assert key["GenerateSecretString"]["PasswordLength"] >= 32
    assert stack.name_of(stack.environment("notify")["CODE_KEY_ID"]) == "code key"
    assert stack.name_of(stack.environment("recipients")["CODE_KEY_ID"]) == "code key"


def test_the_account_s_spending_on_text_messages_is_limited(stack: SynthesizedStack) -> None:
    calls = [json.loads(call["Update"]) for call in stack.of_type("Custom::AWS").values()]
    limit = stack.stage.sms_monthly_usd
    assert (limit is None) == (stack.stage.name == "local")
    assert [(call["action"], call["parameters"]) for call in calls] == [
        ("setSMSAttributes", {"attributes": {"MonthlySpendLimit": str(limit)}})
    ] * (limit is not None)
