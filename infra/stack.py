"""The order pipeline as one picture: who is made of what, and who may reach whom."""

from typing import Final

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from infra.constructs.api import OrdersApi
from infra.constructs.custom_resources import keep_logs_of_custom_resources
from infra.constructs.function import FunctionRuntime, OrdersFunction, QueueConsumer
from infra.constructs.migrations import Migrations
from infra.constructs.monitoring import Monitoring
from infra.constructs.notifications import Notifications
from infra.constructs.operations import Operations
from infra.constructs.payment_webhooks import PaymentWebhooks
from infra.constructs.recovery import Recovery
from infra.constructs.refund import OrderRefund
from infra.constructs.relay import OutboxRelay
from infra.constructs.saga import OrderSaga
from infra.constructs.webhooks import Webhooks
from infra.data_stack import DataStack
from infra.names import pascal
from infra.stages import Stage
from orders.domain import COMPENSATIONS, FORWARD_STEPS, SagaStep
from orders.events import Queue

_MAIL_FEEDBACK_BATCH_SIZE: Final = 10

# An order may fail at these for a reason of its own, which is an error to Lambda.
_MAY_REFUSE: Final = (SagaStep.VERIFY_STOCK, SagaStep.RESERVE_INVENTORY, SagaStep.PROCESS_PAYMENT)


class OrdersStack(Stack):
    """API ▸ Postgres and its outbox ▸ relay ▸ queues ▸ saga and notifications.

    All of it can be removed and deployed again: what has to be kept is in the stack of the stage's data.
    """

    def __init__(self, scope: Construct, *, stage: Stage, data: DataStack) -> None:
        super().__init__(
            scope,
            f"orders-{stage.name}",
            description=f"Order pipeline, stage {stage.name}",
            analytics_reporting=False,
        )
        identity, queues, keys = data.identity, data.queues, data.keys
        runtime = FunctionRuntime(self, "Runtime", stage=stage, database=data.database)

        api = OrdersApi(self, "Api", runtime=runtime, identity=identity)

        relay = OutboxRelay(self, "Relay", runtime=runtime, queues=queues)

        saga = OrderSaga(self, "Saga", runtime=runtime)
        refund = OrderRefund(self, "Refund", runtime=runtime)
        saga.grant_wake(api.functions["CancelOrder"])
        # To lead to executions in AWS's own console; it may do nothing with them.
        api.functions["Console"].function.add_environment(
            "STATE_MACHINE_ARN", saga.state_machine.state_machine_arn
        )
        saga.start_from(queues[Queue.ORDER_PROCESSING], refund=refund, runtime=runtime)

        mail_feedback = QueueConsumer(
            self,
            "MailFeedback",
            queue=queues[Queue.MAIL_FEEDBACK],
            batch_size=_MAIL_FEEDBACK_BATCH_SIZE,
            runtime=runtime,
            description="mail-feedback: an address that bounced or complained gets no mail any more",
        )
        notifications = Notifications(
            self,
            "Notifications",
            runtime=runtime,
            queue=queues[Queue.NOTIFICATION_SENDING],
            identity=identity,
            api=api.functions["Recipients"],
            configuration_set=data.mails.configuration_set,
            code_key=keys.codes,
        )
        webhooks = Webhooks(
            self,
            "Webhooks",
            runtime=runtime,
            queue=queues[Queue.WEBHOOK_DELIVERY],
            key=keys.webhooks,
            api=api.functions["Webhooks"],
        )
        payment_webhooks = PaymentWebhooks(
            self,
            "PaymentWebhooks",
            runtime=runtime,
            queue=queues[Queue.PAYMENT_WEBHOOKS],
            secret=keys.payment_webhooks,
            saga=saga,
            api=api.functions["PaymentWebhooks"],
        )
        recovery = Recovery(self, "Recovery", runtime=runtime, queues=queues, saga=saga, refund=refund)
        operations = Operations(
            self, "Operations", runtime=runtime, queues=queues, saga=saga, refund=refund, api=api
        )

        payment_callers = [
            saga.steps[SagaStep.PROCESS_PAYMENT],
            saga.steps[SagaStep.REFUND_PAYMENT],
            refund.steps,
            payment_webhooks.events,
            recovery.maintenance,
            recovery.payment_events,
            operations.operations,
        ]
        if keys.payment_provider:
            for caller in payment_callers:
                keys.payment_provider.grant_read(caller.function)

        migrations = Migrations(
            self,
            "Migrations",
            runtime=runtime,
            before=[
                *api.functions.values(),
                relay.relay,
                saga.starter,
                *saga.steps.values(),
                refund.steps,
                notifications.notify,
                mail_feedback,
                webhooks.deliver,
                payment_webhooks.events,
                recovery.maintenance,
                recovery.payment_events,
                recovery.inventory_events,
                operations.operations,
            ],
        )
        operations.read_logs_of(
            [each for each in self.node.find_all() if isinstance(each, OrdersFunction)], stage
        )
        Monitoring(
            self,
            "Monitoring",
            stage=stage,
            topic=data.alarms,
            api=api.http_api,
            queues=queues.pairs,
            state_machine=saga.state_machine,
            refund=refund.state_machine,
            refund_steps=refund.steps.function,
            relay=relay.relay.function,
            mark_cancelled=saga.steps[SagaStep.MARK_CANCELLED].function,
            payment_callers=payment_callers,
            deliver_webhooks=webhooks.deliver.function,
            payment_webhooks=api.functions["PaymentWebhooks"].function,
            provider_events=payment_webhooks.events.function,
            maintenance=recovery.maintenance.function,
            payment_events=recovery.payment_events.function,
            inventory_events=recovery.inventory_events.function,
            notify=notifications.notify.function,
            mail_feedback=mail_feedback.function,
            roles={
                "api": [*api.functions.values(), operations.operations],
                "steps": [saga.steps[step] for step in (*_MAY_REFUSE, SagaStep.WAIT_FOR_PAYMENT)],
                "completion": [saga.steps[step] for step in FORWARD_STEPS if step not in _MAY_REFUSE],
                "compensations": [*(saga.steps[step] for step in COMPENSATIONS), refund.steps],
                "consumers": [
                    saga.starter,
                    recovery.payment_events,
                    recovery.inventory_events,
                    notifications.notify,
                    mail_feedback,
                    webhooks.deliver,
                    payment_webhooks.events,
                ],
                "background": [relay.relay, recovery.maintenance, migrations.migrate],
            },
            database=data.database,
        )
        keep_logs_of_custom_resources(self, stage)

        # The ids are a contract: `.local/stack.json` is written from these.
        outputs = {
            "Region": self.region,
            "ApiUrl": api.http_api.api_endpoint,
            "ApiId": api.http_api.api_id,
            "StateMachineArn": saga.state_machine.state_machine_arn,
            "RefundStateMachineArn": refund.state_machine.state_machine_arn,
            "UserPoolId": identity.user_pool.user_pool_id,
            "UserPoolClientId": identity.client.user_pool_client_id,
            "RelayFunctionName": relay.relay.function.function_name,
            "MailFeedbackTopicArn": data.mails.topic.topic_arn,
            "AlarmTopicArn": data.alarms.topic_arn,
        }
        for pair in queues.pairs:
            outputs[f"{pascal(pair.name)}QueueUrl"] = pair.queue.queue_url
            outputs[f"{pascal(pair.name)}DlqUrl"] = pair.dlq.queue_url
        for id, value in outputs.items():
            CfnOutput(self, id, value=value)
