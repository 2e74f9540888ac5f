"""Mails and text messages to customers."""

from typing import Final

from aws_cdk import aws_iam as iam
from aws_cdk import aws_ses as ses
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.function import FunctionRuntime, QueueConsumer

# Five messages at half a second each, sent one after another, are far from the consumer's timeout.
_BATCH_SIZE: Final = 5


class Notifications(Construct):
    """Sends what `notification-sending` asks for: mails from one verified sender and no other, text messages to
    telephones and to nothing else."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        runtime: FunctionRuntime,
        queue: sqs.Queue,
    ) -> None:
        super().__init__(scope, id)
        stage = runtime.stage
        sender = ses.EmailIdentity(self, "Sender", identity=ses.Identity.email(stage.sender_email))
        self.notify = QueueConsumer(
            self,
            "Notify",
            queue=queue,
            batch_size=_BATCH_SIZE,
            runtime=runtime,
            environment={
                "SENDER_EMAIL": stage.sender_email,
                "SMS_SENDER_ID": stage.sms_sender_id,
                "SMS_ORIGINATION_NUMBER": stage.sms_origination_number,
            },
            description="notification-sending: one message for each notification and channel",
        )
        self.notify.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["ses:SendEmail"],
                resources=[sender.email_identity_arn],
                conditions={"StringEquals": {"ses:FromAddress": stage.sender_email}},
            )
        )
        # A telephone number has no ARN, and whatever else can be published to has one of SNS's.
        self.notify.function.add_to_role_policy(
            iam.PolicyStatement(actions=["sns:Publish"], not_resources=["arn:*:sns:*:*:*"])
        )
