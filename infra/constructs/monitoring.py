"""What calls an operator, and what the operator looks at first."""

from collections.abc import Iterable
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from infra.constructs.function import METRICS_NAMESPACE
from infra.constructs.queues import QueuePair
from infra.stages import Stage
from orders.contract import Metric

_PERIOD: Final = Duration.minutes(1)

OUTBOX_LAG_LIMIT: Final = Duration.minutes(2)
"""From commit to SQS. An event that waited this long has seen two runs of the relay."""


class Monitoring(Construct):
    """Alarms, each for something that only a person can put right, on one topic; and a dashboard."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        api: apigatewayv2.HttpApi,
        queues: Iterable[QueuePair],
        state_machine: stepfunctions.StateMachine,
        relay: lambda_.Function,
        mark_cancelled: lambda_.Function,
        process_payment: lambda_.Function,
        deliver_webhooks: lambda_.Function,
        maintenance: lambda_.Function,
        payment_events: lambda_.Function,
        inventory_events: lambda_.Function,
        notify: lambda_.Function,
    ) -> None:
        super().__init__(scope, id)
        self._stage = stage
        self.topic = sns.Topic(
            self,
            "Alarms",
            topic_name=stage.resource_name("alarms"),
            display_name="Order pipeline",
            enforce_ssl=True,
        )
        self._action = actions.SnsAction(self.topic)
        pairs = tuple(queues)
        lag = _orders_metric(Metric.OUTBOX_LAG, relay, "Maximum")

        for pair in pairs:
            self._alarm(
                f"{pair.name}-dlq",
                _visible(pair.dlq),
                "A message was given up. Find its cause, then redrive it.",
            )
        for metric, what in (
            (state_machine.metric_failed(period=_PERIOD), "failed"),
            (state_machine.metric_timed_out(period=_PERIOD), "timed-out"),
            (state_machine.metric_aborted(period=_PERIOD), "aborted"),
        ):
            self._alarm(f"saga-{what}", metric, "An execution ended without a terminal state for its order.")
        self._alarm(
            "orders-needing-review",
            _orders_metric(Metric.ORDERS_NEEDING_REVIEW, mark_cancelled, "Sum"),
            "A compensation was given up: money or stock of the order may not be back.",
        )
        self._alarm(
            "outbox-dead",
            _orders_metric(Metric.OUTBOX_DEAD, relay, "Sum"),
            "An event could not be published, for good.",
        )
        self._alarm(
            "outbox-lag",
            lag,
            "Events wait too long for their publication.",
            threshold=OUTBOX_LAG_LIMIT.to_milliseconds(),
            periods=3,
        )
        # The lag is measured by the relay, so it is silent when the relay is.
        self._alarm(
            "relay-stopped",
            relay.metric_invocations(period=_PERIOD, statistic="Sum"),
            "No relay has started for minutes: accepted orders go nowhere.",
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            periods=5,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        self._alarm(
            "orders-given-up",
            _orders_metric(Metric.ORDERS_NEEDING_REVIEW, maintenance, "Sum"),
            "Resuming an order again and again did not help: its executions end badly.",
        )
        self._alarm(
            "maintenance-failed",
            _orders_metric(Metric.MAINTENANCE_FAILED, maintenance, "Sum"),
            "A task of the maintenance fails: nobody resumes, expires, settles or removes what it is there for.",
            periods=5,
        )
        self._alarm(
            "maintenance-stopped",
            maintenance.metric_invocations(period=_PERIOD, statistic="Sum"),
            "No maintenance has started for minutes: orders that are stuck stay stuck.",
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            periods=5,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        for finder, function in (("maintenance", maintenance), ("payment-events", payment_events)):
            self._alarm(
                f"payment-conflict-{finder}",
                _orders_metric(Metric.PAYMENT_CONFLICTS, function, "Sum"),
                "Our record of a payment and the gateway's disagree. The table `repairs` says of which order.",
            )
        self._alarm(
            "payment-circuit-open",
            _orders_metric(Metric.CIRCUIT_OPENED, process_payment, "Sum"),
            "The payment gateway keeps failing: orders wait for it, and are cancelled after an hour or so.",
        )
        self._alarm(
            "webhooks-disabled",
            _orders_metric(Metric.WEBHOOKS_DISABLED, deliver_webhooks, "Sum"),
            "Nothing is sent to a customer's webhook any more. The table `webhook_endpoints` says to which, and why.",
        )
        self._alarm(
            "low-stock",
            _orders_metric(Metric.LOW_STOCK_ALERTS, inventory_events, "Sum"),
            "A product is low on stock. The table `stock_alerts` says which.",
        )
        self._alarm(
            "notifications-uncertain",
            _orders_metric(Metric.NOTIFICATIONS_UNCERTAIN, notify, "Sum"),
            "A message to a customer may or may not have been sent. The order's report says which.",
        )
        self._alarm(
            "api-5xx",
            api.metric_server_error(period=_PERIOD, statistic="Sum"),
            "The API fails to take orders.",
            threshold=5,
            periods=3,
        )
        self._dashboard(pairs, api, state_machine, lag)

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.Metric,
        description: str,
        *,
        threshold: float = 1,
        periods: int = 1,
        comparison: cloudwatch.ComparisonOperator = (
            cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
        ),
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        """An alarm that fires from `threshold` on, after so many periods in a row, and says so when it is over."""
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=self._stage.resource_name(name),
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=comparison,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)

    def _dashboard(
        self,
        pairs: tuple[QueuePair, ...],
        api: apigatewayv2.HttpApi,
        state_machine: stepfunctions.StateMachine,
        lag: cloudwatch.Metric,
    ) -> None:
        """In the order an order takes: API, outbox, queues, saga."""
        half = 12
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=self._stage.resource_name("pipeline"),
            widgets=[
                [
                    cloudwatch.GraphWidget(
                        title="API requests",
                        width=half,
                        left=[
                            api.metric_count(period=_PERIOD),
                            api.metric_client_error(period=_PERIOD),
                            api.metric_server_error(period=_PERIOD),
                        ],
                    ),
                    cloudwatch.GraphWidget(
                        title="API latency",
                        width=half,
                        left=[
                            api.metric_latency(period=_PERIOD, statistic=statistic)
                            for statistic in ("p50", "p95")
                        ],
                    ),
                ],
                [
                    cloudwatch.GraphWidget(title="From commit to SQS (ms)", width=half, left=[lag]),
                    cloudwatch.GraphWidget(
                        title="Oldest message by queue (s)",
                        width=half,
                        left=[
                            pair.queue.metric_approximate_age_of_oldest_message(
                                period=_PERIOD, label=pair.name
                            )
                            for pair in pairs
                        ],
                    ),
                ],
                [
                    cloudwatch.GraphWidget(
                        title="Orders by end of their saga",
                        width=half,
                        left=[
                            state_machine.metric_started(period=_PERIOD),
                            state_machine.metric_succeeded(period=_PERIOD),
                            state_machine.metric_failed(period=_PERIOD),
                            state_machine.metric_timed_out(period=_PERIOD),
                        ],
                    ),
                    cloudwatch.GraphWidget(
                        title="Time to a terminal state (ms)",
                        width=half,
                        left=[
                            state_machine.metric_time(period=_PERIOD, statistic=statistic)
                            for statistic in ("p50", "p95")
                        ],
                    ),
                ],
                [
                    cloudwatch.SingleValueWidget(
                        title="Messages given up",
                        width=2 * half,
                        metrics=[_visible(pair.dlq).with_(label=pair.name) for pair in pairs],
                    )
                ],
            ],
        )


def _visible(dlq: sqs.Queue) -> cloudwatch.Metric:
    return dlq.metric_approximate_number_of_messages_visible(period=_PERIOD, statistic="Maximum")


def _orders_metric(name: str, emitter: lambda_.Function, statistic: str) -> cloudwatch.Metric:
    """A metric that a function writes with Powertools, whose one dimension is the service: the function's name."""
    return cloudwatch.Metric(
        namespace=METRICS_NAMESPACE,
        metric_name=name,
        dimensions_map={"service": emitter.function_name},
        statistic=statistic,
        period=_PERIOD,
    )
