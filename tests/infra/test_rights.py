"""Who may do what. The tables are the specification: a right they lack fails, and so does one that is gone."""

import pytest

from infra.names import kebab
from orders.domain import SagaStep
from orders.events import EVENT_QUEUES, Queue
from tests.infra.stacks import CALL_PAYMENT_PROVIDER, SynthesizedStack

Rights = dict[str, frozenset[str]]

SEND = frozenset({"sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"})
RECEIVE = frozenset(
    {
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:ReceiveMessage",
    }
)
REDRIVE = frozenset({"sqs:ListMessageMoveTasks", "sqs:StartMessageMoveTask"})
LOG = frozenset({"logs:CreateLogStream", "logs:PutLogEvents"})
TRACE = frozenset({"xray:PutTelemetryRecords", "xray:PutTraceSegments"})
READ_METRICS = frozenset({"cloudwatch:GetMetricData", "cloudwatch:ListMetrics"})
JOIN_NETWORK = frozenset(
    {
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    }
)
DATABASE: Rights = {
    "database secret": frozenset({"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"})
}
WEBHOOK_KEY: Rights = {"webhook key": DATABASE["database secret"]}
PAYMENT_WEBHOOK_SECRET: Rights = {"payment webhook secret": DATABASE["database secret"]}
CODE_KEY: Rights = {"code key": DATABASE["database secret"]}
STRIPE_KEY: Rights = {"stripe api key": DATABASE["database secret"]}

EXECUTIONS = "arn:AWS::Partition:states:AWS::Region:AWS::AccountId:execution:orders-{stage}-order-saga:*"
REFUND_EXECUTIONS = EXECUTIONS.replace("order-saga", "order-refund")
LOGS_OF_THE_STAGE = (
    "arn:AWS::Partition:logs:AWS::Region:AWS::AccountId:log-group:/aws/lambda/orders-{stage}-*"
)
WAITING = "arn:AWS::Partition:states:AWS::Region:AWS::AccountId:stateMachine:orders-{stage}-order-saga"
"""The state machine by its name: a task token has no ARN."""

TELEPHONES = "all but arn:*:sns:*:*:*"
"""What can be published to and has no ARN: no topic, no application, no device."""

RIGHTS: dict[str, Rights] = {
    "create-order": DATABASE,
    "read-orders": DATABASE,
    "cancel-order": {**DATABASE, WAITING: frozenset({"states:SendTaskSuccess"})},
    "api-docs": {},
    "console": {},
    "manage-catalogue": DATABASE,
    "outbox-relay": {**DATABASE, **{f"queue {queue}": SEND for queue in EVENT_QUEUES}},
    "start-saga": {
        **DATABASE,
        "queue order-processing": RECEIVE,
        "queue order-processing-dlq": SEND,
        "state machine": frozenset({"states:StartExecution"}),
        "refund state machine": frozenset({"states:StartExecution"}),
    },
    **{kebab(step): DATABASE for step in SagaStep},
    "refund-steps": DATABASE,
    "wait-for-payment": {**DATABASE, WAITING: frozenset({"states:SendTaskSuccess"})},
    "notify": {
        **DATABASE,
        **CODE_KEY,
        "user pool": frozenset({"cognito-idp:AdminGetUser"}),
        "queue notification-sending": RECEIVE,
        "queue notification-sending-dlq": SEND,
        "arn:AWS::Partition:ses:AWS::Region:AWS::AccountId:identity/{sender}": frozenset({"ses:SendEmail"}),
        "arn:AWS::Partition:ses:AWS::Region:AWS::AccountId:identity/{domain}": frozenset({"ses:SendEmail"}),
        "arn:AWS::Partition:ses:AWS::Region:AWS::AccountId:configuration-set/mails": frozenset(
            {"ses:SendEmail"}
        ),
        TELEPHONES: frozenset({"sns:Publish"}),
    },
    "mail-feedback": {**DATABASE, "queue mail-feedback": RECEIVE, "queue mail-feedback-dlq": SEND},
    "recipients": {**DATABASE, **CODE_KEY},
    "webhooks": {**DATABASE, **WEBHOOK_KEY},
    "deliver-webhooks": {
        **DATABASE,
        **WEBHOOK_KEY,
        "queue webhook-delivery": RECEIVE,
        "queue webhook-delivery-dlq": SEND,
    },
    "payment-webhooks": {**PAYMENT_WEBHOOK_SECRET, "queue payment-webhooks": SEND},
    "provider-events": {
        **DATABASE,
        WAITING: frozenset({"states:SendTaskSuccess"}),
        "queue payment-webhooks": RECEIVE,
        "queue payment-webhooks-dlq": SEND,
    },
    "migrate": DATABASE,
    "maintenance": {
        **DATABASE,
        "state machine": frozenset({"states:ListExecutions", "states:StartExecution"}),
        EXECUTIONS: frozenset({"states:DescribeExecution"}),
        "refund state machine": frozenset({"states:ListExecutions", "states:StartExecution"}),
        REFUND_EXECUTIONS: frozenset({"states:DescribeExecution"}),
    },
    "operations": {
        **DATABASE,
        **{f"queue {queue}": SEND for queue in Queue},
        **{f"queue {queue}-dlq": RECEIVE | REDRIVE for queue in Queue},
        "state machine": frozenset({"states:StartExecution"}),
        EXECUTIONS: frozenset({"states:DescribeExecution", "states:GetExecutionHistory"}),
        "refund state machine": frozenset({"states:StartExecution"}),
        REFUND_EXECUTIONS: frozenset({"states:DescribeExecution"}),
        LOGS_OF_THE_STAGE: frozenset({"logs:FilterLogEvents"}),
    },
    "payment-events": {
        **DATABASE,
        "queue payment-processing": RECEIVE,
        "queue payment-processing-dlq": SEND,
    },
    "inventory-events": {
        **DATABASE,
        "queue inventory-management": RECEIVE,
        "queue inventory-management-dlq": SEND,
    },
}
"""Beyond these every function may write its own logs and its traces, and join the network if it uses the database."""

LOG_DELIVERY = "Step Functions manages the account's log deliveries, which have no ARN"
NO_ARN = "traces have no ARN"
NO_ARN_YET = "network interfaces have no ARN before they are made, and describing takes none"

WILDCARDS: dict[str, str] = {
    **dict.fromkeys(READ_METRICS, "reading metrics takes no ARN"),
    **dict.fromkeys(TRACE, NO_ARN),
    "xray:GetSamplingRules": NO_ARN,
    "xray:GetSamplingTargets": NO_ARN,
    **dict.fromkeys(JOIN_NETWORK, NO_ARN_YET),
    "logs:CreateLogDelivery": LOG_DELIVERY,
    "logs:DeleteLogDelivery": LOG_DELIVERY,
    "logs:DescribeLogGroups": LOG_DELIVERY,
    "logs:DescribeResourcePolicies": LOG_DELIVERY,
    "logs:GetLogDelivery": LOG_DELIVERY,
    "logs:ListLogDeliveries": LOG_DELIVERY,
    "logs:PutResourcePolicy": LOG_DELIVERY,
    "logs:UpdateLogDelivery": LOG_DELIVERY,
    "sns:SetSMSAttributes": "the attributes of the account have no ARN",
}
"""The only actions on every resource, each with the reason why AWS needs it so."""


def test_the_tables_cover_every_function(stack: SynthesizedStack) -> None:
    assert set(stack.functions) == set(RIGHTS)


@pytest.mark.parametrize("function", sorted(RIGHTS))
def test_a_function_may_do_what_the_table_says_and_no_more(stack: SynthesizedStack, function: str) -> None:
    sender = stack.environment("notify")["SENDER_EMAIL"]
    names = {"stage": stack.stage.name, "sender": sender, "domain": sender.partition("@")[2]}
    in_network = stack.stage.database is not None and DATABASE.items() <= RIGHTS[function].items()
    expected = {
        f"logs of {function}": LOG,
        "*": TRACE
        | (JOIN_NETWORK if in_network else frozenset())
        | (READ_METRICS if function == "operations" else frozenset()),
        **{name.format_map(names): actions for name, actions in RIGHTS[function].items()},
        **(STRIPE_KEY if stack.payment_provider == "stripe" and function in CALL_PAYMENT_PROVIDER else {}),
    }
    assert stack.rights(function) == expected


def test_mails_leave_only_from_the_stage_s_sender(stack: SynthesizedStack) -> None:
    (sending,) = [statement for _, statement in stack.statements() if "ses:SendEmail" in statement.actions]
    assert sending.conditions == {
        "StringEquals": {"ses:FromAddress": stack.environment("notify")["SENDER_EMAIL"]}
    }


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("order-saga", {kebab(step) for step in SagaStep}),
        ("order-refund", {"refund-steps"}),
    ],
)
def test_a_state_machine_may_invoke_its_steps_and_nothing_else(
    stack: SynthesizedStack, name: str, steps: set[str]
) -> None:
    (role_id, _) = stack.state_machine(name)["RoleArn"]["Fn::GetAtt"]
    invoked = {
        resource.removesuffix(":$LATEST")
        for owner, statement in stack.statements()
        if owner == role_id and "lambda:InvokeFunction" in statement.actions
        for resource in statement.resources
    }
    assert invoked == {f"function {step}" for step in steps}


@pytest.mark.parametrize("function", ["outbox-relay", "maintenance"])
def test_the_scheduler_may_start_what_it_starts_and_nothing_else(
    stack: SynthesizedStack, function: str
) -> None:
    (role_id, _) = stack.schedules[function]["Target"]["RoleArn"]["Fn::GetAtt"]
    rights = [statement for owner, statement in stack.statements() if owner == role_id]
    assert [right.actions for right in rights] == [{"lambda:InvokeFunction"}]
    assert rights[0].resources == {f"function {function}", f"function {function}:$LATEST"}


def test_only_listed_actions_are_allowed_on_every_resource(stack: SynthesizedStack) -> None:
    everywhere = {
        action
        for _, statement in stack.statements()
        if "*" in statement.resources
        for action in statement.actions
    }
    assert everywhere <= set(WILDCARDS)


def test_no_action_and_no_other_resource_has_a_wildcard(stack: SynthesizedStack) -> None:
    statements = [statement for _, statement in stack.statements()]
    assert statements
    assert not {action for statement in statements for action in statement.actions if "*" in action}
    partly = {
        resource
        for statement in statements
        for resource in statement.resources
        if "*" in resource and resource != "*"
    }
    # The trigger of the migrations invokes whichever version of them is new; an execution's name has its order's id;
    # operators read the logs of all the stage's functions.
    assert partly == {
        LOGS_OF_THE_STAGE.format(stage=stack.stage.name),
        "function migrate:*",
        EXECUTIONS.format(stage=stack.stage.name),
        REFUND_EXECUTIONS.format(stage=stack.stage.name),
        TELEPHONES,
        LOGS_OF_THE_STAGE.format(stage=stack.stage.name),
    }


def test_only_the_functions_of_cdk_itself_use_a_managed_policy(stack: SynthesizedStack) -> None:
    with_managed_policy = {
        role_id for role_id, role in stack.of_type("AWS::IAM::Role").items() if role.get("ManagedPolicyArns")
    }
    assert with_managed_policy
    assert all("CustomResourceProvider" in role_id for role_id in with_managed_policy)
