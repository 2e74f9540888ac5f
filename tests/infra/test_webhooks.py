"""Customers' webhooks: whom they may call, and what they are signed with."""

import json

import pytest

from tests.infra.stacks import SynthesizedStack

FUNCTIONS = ["webhooks", "deliver-webhooks"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_the_local_stage_lets_webhooks_call_this_machine(stack: SynthesizedStack, function: str) -> None:
    allowed = stack.environment(function).get("ALLOW_LOOPBACK_WEBHOOKS")
    assert allowed == ("true" if stack.stage.name == "local" else None)


def test_no_other_function_can_be_told_to(stack: SynthesizedStack) -> None:
    told = {name for name in stack.functions if "ALLOW_LOOPBACK_WEBHOOKS" in stack.environment(name)}
    assert told <= set(FUNCTIONS)


def test_the_key_of_the_secrets_is_generated_and_long(stack: SynthesizedStack) -> None:
    key = stack.secrets["webhook-key"]
    assert "SecretString" not in key
    assert key["GenerateSecretString"]["PasswordLength"] >= 32


def test_both_functions_derive_from_the_same_key(stack: SynthesizedStack) -> None:
    keys = [stack.name_of(stack.environment(function)["WEBHOOK_KEY_ID"]) for function in FUNCTIONS]
    assert keys == ["webhook key"] * 2


def test_production_keeps_the_key_when_the_stack_goes(prod: SynthesizedStack) -> None:
    (policy,) = [
        resource["DeletionPolicy"]
        for resource in prod.template["Resources"].values()
        if resource.get("Properties") == prod.secrets["webhook-key"]
    ]
    assert policy == "RetainExceptOnCreate"


def test_the_waits_between_attempts_are_the_stage_s(stack: SynthesizedStack) -> None:
    waits = json.loads(stack.environment("deliver-webhooks")["WEBHOOK_RETRY_SECONDS"])
    assert waits == list(stack.stage.webhook_retry_seconds)
