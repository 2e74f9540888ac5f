"""Where alarms go, and to whom."""

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.stages import Stage


class AlarmTopic(Construct):
    """An encrypted topic that the alarms of the stage are published to, and nothing else. It tells the subscribers."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage) -> None:
        super().__init__(scope, id)
        cloudwatch = iam.ServicePrincipal("cloudwatch.amazonaws.com")
        # AWS's own key for SNS does not let CloudWatch in, and nobody can change its policy.
        key = kms.Key(
            self,
            "Key",
            description=f"Alarms of stage {stage.name}",
            enable_key_rotation=True,
            # An alarm lives for as long as it takes to deliver it.
            removal_policy=RemovalPolicy.DESTROY,
        )
        # Without conditions: CloudWatch names no source to KMS. What it may publish here is the topic's to say.
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[cloudwatch], actions=["kms:Decrypt", "kms:GenerateDataKey*"], resources=["*"]
            )
        )
        self.topic = sns.Topic(
            self,
            "Topic",
            topic_name=stage.resource_name("alarms"),
            display_name="Order pipeline",
            master_key=key,
            enforce_ssl=True,
        )
        # A topic with a policy has only the policy: without this nobody's alarms get through.
        stack = Stack.of(self)
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[cloudwatch],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {
                        "aws:SourceArn": stack.format_arn(
                            service="cloudwatch",
                            resource="alarm",
                            resource_name=stage.resource_name("*"),
                            arn_format=ArnFormat.COLON_RESOURCE_NAME,
                        )
                    },
                },
            )
        )
        for subscriber in stage.alarm_subscribers:
            self.topic.add_subscription(
                subscriptions.UrlSubscription(subscriber)
                if subscriber.startswith("https://")
                else subscriptions.EmailSubscription(subscriber)
            )
