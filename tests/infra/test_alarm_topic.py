"""Alarms reach somebody: CloudWatch may publish them, and who is named is subscribed."""

import json
from typing import Any

import pytest
from aws_cdk import App

from infra.app import orders_stack
from tests.infra.stacks import SynthesizedStack, context_of

CLOUDWATCH = {"Service": "cloudwatch.amazonaws.com"}


def topic(stack: SynthesizedStack) -> tuple[str, dict[str, Any]]:
    """The alarms' topic, with its logical id."""
    (found,) = (
        (logical_id, properties)
        for logical_id, properties in stack.of_type("AWS::SNS::Topic").items()
        if stack.short(properties["TopicName"]) == "alarms"
    )
    return found


def test_cloudwatch_may_publish_the_alarms_of_this_stage_and_nobody_else_may(stack: SynthesizedStack) -> None:
    topic_id, _ = topic(stack)
    (policy,) = (
        properties["PolicyDocument"]
        for properties in stack.of_type("AWS::SNS::TopicPolicy").values()
        if properties["Topics"] == [{"Ref": topic_id}]
    )
    (allowed,) = (statement for statement in policy["Statement"] if statement["Effect"] == "Allow")

    assert (allowed["Principal"], allowed["Action"]) == (CLOUDWATCH, "sns:Publish")
    assert allowed["Resource"] == {"Ref": topic_id}
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    alarms = json.dumps(allowed["Condition"]["ArnLike"]["aws:SourceArn"])
    assert f":alarm:orders-{stack.stage.name}-*" in alarms


def test_the_topic_is_encrypted_with_a_key_that_cloudwatch_may_use(stack: SynthesizedStack) -> None:
    """With AWS's own key for SNS, whose policy nobody can change, no alarm would get through."""
    _, properties = topic(stack)
    (key_id, _) = properties["KmsMasterKeyId"]["Fn::GetAtt"]
    key = stack.of_type("AWS::KMS::Key")[key_id]

    assert key["EnableKeyRotation"] is True
    (statement,) = (
        statement for statement in key["KeyPolicy"]["Statement"] if statement["Principal"] == CLOUDWATCH
    )
    assert set(statement["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}


def test_operators_find_the_topic_in_the_outputs(stack: SynthesizedStack) -> None:
    topic_id, _ = topic(stack)
    assert stack.template["Outputs"]["AlarmTopicArn"]["Value"] == {"Ref": topic_id}


def test_who_is_named_is_subscribed(chosen: SynthesizedStack) -> None:
    assert (
        chosen.context["alarm_subscribers"] == "ops@example.net,https://pager.example.net/hooks/orders?key=1"
    )
    data = chosen.templates[chosen.data_name]

    subscribed = {
        (resource["Properties"]["Protocol"], resource["Properties"]["Endpoint"])
        for resource in data["Resources"].values()
        if resource["Type"] == "AWS::SNS::Subscription" and resource["Properties"]["Protocol"] != "sqs"
    }
    assert subscribed == {
        ("email", "ops@example.net"),
        ("https", "https://pager.example.net/hooks/orders?key=1"),
    }


@pytest.mark.parametrize("subscriber", ["ops", "http://pager.example.net", "a@b", "", "x y@example.net"])
def test_what_cannot_be_told_is_refused_by_name(subscriber: str) -> None:
    context = {**context_of("dev"), "alarm_subscribers": f"ops@example.net,{subscriber}"}
    with pytest.raises(ValueError, match="alarm_subscribers: ") as refused:
        orders_stack(App(context=context))
    assert repr(subscriber) in str(refused.value)
