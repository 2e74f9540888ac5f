"""SES tells of mails that come back: only SES may, only of ours, and only to one queue."""

import pytest

from tests.infra.stacks import Properties, SynthesizedStack

TOPIC = "topic mail-feedback"
CONFIGURATION_SET = "arn:AWS::Partition:ses:AWS::Region:AWS::AccountId:configuration-set/mails"


def allowed(stack: SynthesizedStack, policies: str, resource: str) -> list[Properties]:
    """The statements that allow anybody anything on a resource, by the resource's own policies."""
    return [
        statement
        for policy in stack.of_type(policies).values()
        for statement in policy["PolicyDocument"]["Statement"]
        if stack.name_of(statement["Resource"]) == resource and statement["Effect"] == "Allow"
    ]


def test_bounces_and_complaints_of_our_mails_go_to_the_topic(stack: SynthesizedStack) -> None:
    destination = stack.the("AWS::SES::ConfigurationSetEventDestination")

    assert stack.name_of(destination["ConfigurationSetName"]) == "mails"
    told = destination["EventDestination"]
    assert told["Enabled"] is True
    assert told["MatchingEventTypes"] == ["bounce", "complaint"]
    assert stack.name_of(told["SnsDestination"]["TopicARN"]) == TOPIC


def test_every_mail_is_sent_with_the_configuration_set(stack: SynthesizedStack) -> None:
    assert stack.name_of(stack.environment("notify")["MAIL_CONFIGURATION_SET"]) == "mails"
    for sender in stack.of_type("AWS::SES::EmailIdentity").values():
        assert stack.name_of(sender["ConfigurationSetAttributes"]["ConfigurationSetName"]) == "mails"


def test_there_is_one_list_of_addresses_that_get_no_mail(stack: SynthesizedStack) -> None:
    """An address that an operator allows would not be written to for as long as it is on the account's own list."""
    assert stack.the("AWS::SES::ConfigurationSet")["SuppressionOptions"] == {"SuppressedReasons": []}


def test_only_ses_may_publish_and_only_for_our_configuration_set(stack: SynthesizedStack) -> None:
    (statement,) = allowed(stack, "AWS::SNS::TopicPolicy", TOPIC)

    assert statement["Principal"] == {"Service": "ses.amazonaws.com"}
    assert statement["Action"] == "sns:Publish"
    assert statement["Condition"].keys() == {"StringEquals"}
    conditions = {
        name: stack.name_of(value) for name, value in statement["Condition"]["StringEquals"].items()
    }
    assert conditions == {"AWS:SourceAccount": "AWS::AccountId", "AWS:SourceArn": CONFIGURATION_SET}


def test_nobody_publishes_without_tls(stack: SynthesizedStack) -> None:
    denied = [
        statement
        for policy in stack.of_type("AWS::SNS::TopicPolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny" and stack.name_of(statement["Resource"]) == TOPIC
    ]
    assert [statement["Condition"] for statement in denied] == [{"Bool": {"aws:SecureTransport": "false"}}]


def test_ses_may_publish_before_it_is_told_where(stack: SynthesizedStack) -> None:
    """It tries, when it is told."""
    (destination,) = stack.of_type("AWS::SES::ConfigurationSetEventDestination")
    policies = {
        logical_id
        for logical_id, policy in stack.of_type("AWS::SNS::TopicPolicy").items()
        if [stack.name_of(topic) for topic in policy["Topics"]] == [TOPIC]
    }
    assert policies <= stack.dependencies(destination)


def test_only_the_topic_may_send_to_the_queue(stack: SynthesizedStack) -> None:
    (statement,) = allowed(stack, "AWS::SQS::QueuePolicy", "queue mail-feedback")

    assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Condition"].keys() == {"ArnEquals"}
    (source,) = statement["Condition"]["ArnEquals"].values()
    assert stack.name_of(source) == TOPIC


@pytest.mark.parametrize("queue", ["mail-feedback", "mail-feedback-dlq"])
def test_of_our_functions_only_operators_may_send_there(stack: SynthesizedStack, queue: str) -> None:
    """To redrive a dead letter; and its consumer may give one up."""
    senders = {
        function
        for function in stack.functions
        if "sqs:SendMessage" in stack.rights(function).get(f"queue {queue}", ())
    }
    assert senders == ({"operations"} if queue == "mail-feedback" else {"mail-feedback"})


def test_the_queue_gets_ses_s_own_words_from_nowhere_else(stack: SynthesizedStack) -> None:
    subscription = stack.the("AWS::SNS::Subscription")

    assert subscription["Protocol"] == "sqs"
    assert subscription["RawMessageDelivery"] is True
    assert stack.name_of(subscription["TopicArn"]) == TOPIC
    assert stack.name_of(subscription["Endpoint"]) == "queue mail-feedback"
