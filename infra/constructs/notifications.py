"""Mails and text messages to customers."""

import json
from dataclasses import asdict
from typing import Final

from aws_cdk import Stack, custom_resources
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ses as ses
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.function import FunctionRuntime, OrdersFunction, QueueConsumer
from infra.constructs.identity import Identity
from infra.findings import accept
from infra.stages import Stage
from orders.domain import Channel

# Five messages at half a second each, sent one after another, are far from the consumer's timeout.
_BATCH_SIZE: Final = 5


class Notifications(Construct):
    """Sends what `notification-sending` asks for: mails from one verified sender and no other, text messages to
    telephones and to nothing else. It looks accounts up, to send to their own addresses."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        runtime: FunctionRuntime,
        queue: sqs.Queue,
        identity: Identity,
        api: OrdersFunction,
        configuration_set: ses.ConfigurationSet,
        code_key: secretsmanager.Secret,
    ) -> None:
        """`api` is the function in which customers name and confirm recipients. Every mail is sent with the
        configuration set. Confirmation codes are derived from the key."""
        super().__init__(scope, id)
        stage = runtime.stage
        self.notify = QueueConsumer(
            self,
            "Notify",
            queue=queue,
            batch_size=_BATCH_SIZE,
            runtime=runtime,
            environment={
                "SENDER_EMAIL": stage.sender_email,
                "MAIL_CONFIGURATION_SET": configuration_set.configuration_set_name,
                "SMS_SENDER_ID": stage.sms_sender_id,
                "SMS_ORIGINATION_NUMBER": stage.sms_origination_number,
                "MESSAGE_LIMITS": json.dumps(
                    {Channel.EMAIL: asdict(stage.mails), Channel.SMS: asdict(stage.texts)}
                ),
                "USER_POOL_ID": identity.user_pool.user_pool_id,
            },
            description="notification-sending: one message for each notification and channel",
        )
        identity.user_pool.grant(self.notify.function, "cognito-idp:AdminGetUser")
        for function in (api, self.notify):
            function.function.add_environment("CODE_KEY_ID", code_key.secret_arn)
            code_key.grant_read(function.function)
        self.notify.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["ses:SendEmail"],
                # SES asks for the right to the one of the identities that it has verified.
                resources=[
                    *(
                        Stack.of(self).format_arn(
                            service="ses", resource="identity", resource_name=identity_name
                        )
                        for identity_name in (stage.sender_email, stage.sender_email.partition("@")[2])
                    ),
                    Stack.of(self).format_arn(
                        service="ses",
                        resource="configuration-set",
                        resource_name=configuration_set.configuration_set_name,
                    ),
                ],
                conditions={"StringEquals": {"ses:FromAddress": stage.sender_email}},
            )
        )
        # A telephone number has no ARN, and whatever else can be published to has one of SNS's.
        self.notify.function.add_to_role_policy(
            iam.PolicyStatement(actions=["sns:Publish"], not_resources=["arn:*:sns:*:*:*"])
        )
        if stage.sms_monthly_usd is not None:
            self._limit_spending(stage, stage.sms_monthly_usd)

    def _limit_spending(self, stage: Stage, monthly_usd: int) -> None:
        """SNS has the limit as an attribute of the account, of which CloudFormation knows nothing."""
        log_group = logs.LogGroup(
            self,
            "SmsLimitLogs",
            retention=stage.log_retention,
            removal_policy=stage.removal_policy,
        )
        role = iam.Role(
            self,
            "SmsLimitRole",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description="Sets what text messages may cost",
        )
        log_group.grant_write(role)
        call = custom_resources.AwsSdkCall(
            service="SNS",
            action="setSMSAttributes",
            parameters={"attributes": {"MonthlySpendLimit": str(monthly_usd)}},
            physical_resource_id=custom_resources.PhysicalResourceId.of("sms-monthly-spend-limit"),
        )
        limit = custom_resources.AwsCustomResource(
            self,
            "SmsLimit",
            # Nothing is called when the stack goes: without it there must not suddenly be more to spend.
            on_update=call,
            install_latest_aws_sdk=False,
            log_group=log_group,
            role=role,
            policy=custom_resources.AwsCustomResourcePolicy.from_statements(
                [iam.PolicyStatement(actions=["sns:SetSMSAttributes"], resources=["*"])]
            ),
        )
        accept(self, "Attributes of the account have no ARN.", "IAM5[Resource::*]")
        accept(limit, "CDK chooses the runtime of its own functions.", "L1")
