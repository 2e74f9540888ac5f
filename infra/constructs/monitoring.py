"""What calls an operator, and what the operator looks at first."""

from collections.abc import Callable, Iterable, Mapping, Sequence
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

from infra.constructs.database import Database, ManagedDatabase
from infra.constructs.function import OrdersFunction
from infra.constructs.queues import QueuePair
from infra.runbook import section
from infra.stages import Stage
from orders.contract import METRICS_NAMESPACE, Metric
from orders.events import Queue

_PERIOD: Final = Duration.minutes(1)
_HALF: Final = 12
"""Of a dashboard's width."""

OUTBOX_LAG_LIMIT: Final = Duration.minutes(2)
"""From commit to SQS. An event that waited this long has seen two runs of the relay."""

API_LATENCY_LIMIT: Final = Duration.seconds(3)
"""For the slowest in a hundred requests: a cold start takes one."""
OLDEST_MESSAGE_LIMIT: Final = Duration.minutes(15)
"""What five deliveries of one message take. One that fails by itself is in its dead-letter queue by then."""
OLDEST_ORDER_LIMIT: Final = Duration.minutes(5)
"""The same for `order-processing`, which customers wait for: two deliveries."""
FAILED_SHARE_LIMIT: Final = 0.5
"""Of the calls of steps at which an order may fail for its own reason, as a card that is declined."""
FEWEST_CALLS: Final = 10
"""A minute. A share of fewer says nothing."""
CONNECTIONS_PER_ACU: Final = 90
"""Aurora allows about twice as many for each capacity unit."""
BORROW_LIMIT: Final = Duration.seconds(1)
"""For a connection of the proxy, on the average of a minute."""

SUPPRESSED_LIMIT: Final = 20
"""Messages a minute. Single ones are customers who gave an address that they have not confirmed."""
BOUNCED_LIMIT: Final = 10
COMPLAINED_LIMIT: Final = 3
"""Mails a minute."""
BOUNCE_RATE_LIMIT: Final = 0.05
COMPLAINT_RATE_LIMIT: Final = 0.001
"""Shares of the account's mails, from which on SES puts the account under review, and later stops it."""
SMS_SPENDING_SHARE: Final = 0.8


class Monitoring(Construct):
    """Alarms, each for something that only a person can put right, on one topic; and a dashboard."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        topic: sns.Topic,
        api: apigatewayv2.HttpApi,
        queues: Iterable[QueuePair],
        state_machine: stepfunctions.StateMachine,
        refund: stepfunctions.StateMachine,
        refund_steps: lambda_.Function,
        relay: lambda_.Function,
        mark_cancelled: lambda_.Function,
        payment_callers: Iterable[OrdersFunction],
        deliver_webhooks: lambda_.Function,
        payment_webhooks: lambda_.Function,
        provider_events: lambda_.Function,
        maintenance: lambda_.Function,
        payment_events: lambda_.Function,
        inventory_events: lambda_.Function,
        notify: lambda_.Function,
        mail_feedback: lambda_.Function,
        roles: Mapping[str, Sequence[OrdersFunction]],
        database: Database,
    ) -> None:
        """`roles` are all functions by what they are for, at most ten of each."""
        super().__init__(scope, id)
        self._stage = stage
        self._alarms: dict[str, cloudwatch.Alarm] = {}
        self._action = actions.SnsAction(topic)
        pairs = tuple(queues)
        callers = tuple(payment_callers)
        lag = _orders_metric(Metric.OUTBOX_LAG, relay, "Maximum")

        for pair in pairs:
            self._alarm(
                f"{pair.name}-dlq",
                _visible(pair.dlq),
                "A message was given up. Find its cause, then redrive it.",
            )
        for name, machine, description in (
            ("saga", state_machine, "An execution ended without a terminal state for its order."),
            ("refund", refund, "An execution ended, and its refund is neither completed nor under review."),
        ):
            for metric, what in (
                (machine.metric_failed(period=_PERIOD), "failed"),
                (machine.metric_timed_out(period=_PERIOD), "timed-out"),
                (machine.metric_aborted(period=_PERIOD), "aborted"),
            ):
                self._alarm(f"{name}-{what}", metric, description)
        conflict = (
            "Our record of a payment and the gateway's disagree. The table `repairs` says of which order."
        )
        for name, emitter, counted, description in (
            (
                "orders-needing-review",
                mark_cancelled,
                Metric.ORDERS_NEEDING_REVIEW,
                "A compensation was given up: money or stock of the order may not be back.",
            ),
            (
                "orders-given-up",
                maintenance,
                Metric.ORDERS_NEEDING_REVIEW,
                "Resuming an order again and again did not help: its executions end badly.",
            ),
            (
                "refunds-needing-review",
                refund_steps,
                Metric.REFUNDS_NEEDING_REVIEW,
                "A refund could not be carried out: the payment provider refuses it, or a step was given up.",
            ),
            (
                "refunds-given-up",
                maintenance,
                Metric.REFUNDS_NEEDING_REVIEW,
                "Resuming a refund again and again did not help: its executions end badly.",
            ),
            ("outbox-dead", relay, Metric.OUTBOX_DEAD, "An event could not be published, for good."),
            ("payment-conflict-maintenance", maintenance, Metric.PAYMENT_CONFLICTS, conflict),
            ("payment-conflict-payment-events", payment_events, Metric.PAYMENT_CONFLICTS, conflict),
            ("payment-conflict-provider-events", provider_events, Metric.PAYMENT_CONFLICTS, conflict),
            (
                "payment-dispute-opened",
                provider_events,
                Metric.PAYMENT_DISPUTES_OPENED,
                "A customer's bank contests a charge: a person must respond within the provider's deadline.",
            ),
            (
                "payment-dispute-lost",
                provider_events,
                Metric.PAYMENT_DISPUTES_LOST,
                "A contested charge is lost: the customer has the money back. The order's report says which.",
            ),
            *(
                (
                    f"payment-circuit-open-{caller.name}",
                    caller.function,
                    Metric.CIRCUIT_OPENED,
                    "The payment gateway keeps failing: orders wait for it, and are cancelled after an hour or so.",
                )
                for caller in callers
            ),
            *(
                (
                    f"payment-key-refused-{caller.name}",
                    caller.function,
                    Metric.STRIPE_AUTHENTICATION_FAILED,
                    "The payment provider refuses our key: nothing is charged or given back until it has a good one.",
                )
                for caller in (callers if stage.payments.api_key_secret else ())
            ),
            (
                "webhooks-disabled",
                deliver_webhooks,
                Metric.WEBHOOKS_DISABLED,
                "Nothing is sent to a customer's webhook any more. "
                "The table `webhook_endpoints` says to which, and why.",
            ),
            (
                "low-stock",
                inventory_events,
                Metric.LOW_STOCK_ALERTS,
                "A product is low on stock. The table `stock_alerts` says which.",
            ),
            (
                "notifications-uncertain",
                notify,
                Metric.NOTIFICATIONS_UNCERTAIN,
                "A message to a customer may or may not have been sent. The order's report says which.",
            ),
            (
                "notifications-stage-limit",
                notify,
                Metric.STAGE_LIMIT_REACHED,
                "The stage has sent as many messages as it may in an hour: customers miss theirs.",
            ),
        ):
            self._alarm(name, _orders_metric(counted, emitter, "Sum"), description)
        self._alarm(
            "notifications-suppressed",
            _orders_metric(Metric.NOTIFICATIONS_SUPPRESSED, notify, "Sum"),
            "Many messages are not sent: somebody orders for strangers, or a limit is too low.",
            threshold=SUPPRESSED_LIMIT,
            periods=5,
        )
        for name, counted, limit, description in (
            (
                "mails-bounced",
                Metric.MAILS_BOUNCED,
                BOUNCED_LIMIT,
                "Many mails come back: somebody orders with made-up addresses, or a provider refuses our mails.",
            ),
            (
                "mails-complained",
                Metric.MAILS_COMPLAINED,
                COMPLAINED_LIMIT,
                "Several recipients call our mails unwanted at once.",
            ),
        ):
            self._alarm(name, _orders_metric(counted, mail_feedback, "Sum"), description, threshold=limit)
        for name, metric_name, share in (
            ("mail-bounce-rate", "Reputation.BounceRate", BOUNCE_RATE_LIMIT),
            ("mail-complaint-rate", "Reputation.ComplaintRate", COMPLAINT_RATE_LIMIT),
        ):
            self._alarm(
                name,
                cloudwatch.Metric(
                    namespace="AWS/SES", metric_name=metric_name, statistic="Maximum", period=_PERIOD
                ),
                "So many of the account's mails come back or are complained of that SES may stop all of them.",
                threshold=share,
            )
        self._alarm(
            "payment-webhooks-refused",
            _orders_metric(Metric.PAYMENT_WEBHOOKS_REFUSED, payment_webhooks, "Sum"),
            "The payment provider's webhooks are not signed with our secret, or somebody forges them.",
            periods=5,
        )
        if stage.sms_monthly_usd is not None:
            self._alarm(
                "sms-spending",
                cloudwatch.Metric(
                    namespace="AWS/SNS",
                    metric_name="SMSMonthToDateSpentUSD",
                    statistic="Maximum",
                    period=_PERIOD,
                ),
                "Text messages have cost most of what they may this month; beyond that none is sent.",
                threshold=SMS_SPENDING_SHARE * stage.sms_monthly_usd,
            )
        self._alarm(
            "maintenance-failed",
            _orders_metric(Metric.MAINTENANCE_FAILED, maintenance, "Sum"),
            "A task of the maintenance fails: nobody resumes, expires, settles or removes what it is there for.",
            periods=5,
        )
        self._alarm(
            "outbox-lag",
            lag,
            "Events wait too long for their publication.",
            threshold=OUTBOX_LAG_LIMIT.to_milliseconds(),
            periods=3,
        )
        self._alarm(
            "outbox-retries",
            _orders_metric(Metric.OUTBOX_RETRIED, relay, "Sum"),
            "SQS keeps refusing events: a right is missing, a queue is gone, or SQS is down.",
            periods=5,
        )
        self._alarm(
            "outbox-waiting",
            _orders_metric(Metric.OUTBOX_WAITING, maintenance, "Maximum"),
            "Events are due and nobody publishes them, or nobody looks whether they are.",
            threshold=OUTBOX_LAG_LIMIT.to_milliseconds(),
            periods=5,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        for name, function in (("outbox-relay", relay), ("maintenance", maintenance)):
            self._alarm(
                f"{name}-errors",
                function.metric_errors(period=_PERIOD, statistic="Sum"),
                "It ends with an error again and again. Nobody but this alarm is told of it.",
                periods=5,
                datapoints=3,
            )
        # What they measure themselves, the relay's lag first of all, is silent when they are.
        for name, function, description in (
            ("relay", relay, "No relay has started for minutes: accepted orders go nowhere."),
            (
                "maintenance",
                maintenance,
                "No maintenance has started for minutes: orders that are stuck stay stuck.",
            ),
        ):
            self._alarm(
                f"{name}-stopped",
                function.metric_invocations(period=_PERIOD, statistic="Sum"),
                description,
                comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
                periods=5,
                missing=cloudwatch.TreatMissingData.BREACHING,
            )
        self._alarm(
            "api-5xx",
            api.metric_server_error(period=_PERIOD, statistic="Sum"),
            "The API fails to take orders.",
            threshold=5,
            periods=3,
        )
        self._alarm(
            "api-latency",
            api.metric_latency(period=_PERIOD, statistic="p99"),
            "Customers wait: the slowest requests take seconds.",
            threshold=API_LATENCY_LIMIT.to_milliseconds(),
            periods=5,
        )
        for pair in pairs:
            limit = OLDEST_ORDER_LIMIT if pair.name == Queue.ORDER_PROCESSING else OLDEST_MESSAGE_LIMIT
            self._alarm(
                f"{pair.name}-age",
                pair.queue.metric_approximate_age_of_oldest_message(period=_PERIOD, statistic="Maximum"),
                "Messages wait too long: their consumer fails, is too slow, or does not run.",
                threshold=limit.to_seconds(),
                periods=3,
            )
        (migrate,) = [function for function in roles["background"] if function.name == "migrate"]
        self._alarm(
            "migrate-errors",
            migrate.function.metric_errors(period=_PERIOD, statistic="Sum"),
            "A migration failed: the deploy stops, and the code of before goes on.",
        )
        if isinstance(database, ManagedDatabase):
            # The local cloud knows neither metric math nor composite alarms.
            self._watch_functions(roles)
            self._watch_database(database)
            self._watch_the_way_of_orders()
        self._dashboard(pairs, api, state_machine, lag)

    def _watch_functions(self, roles: Mapping[str, Sequence[OrdersFunction]]) -> None:
        """Errors and throttles, one alarm for each role: with two for each function the stack would have too many
        resources (500)."""
        for role, functions in roles.items():
            names = ", ".join(sorted(function.name for function in functions))
            if role == "steps":
                self._alarm(
                    "steps-errors",
                    _failed_share(functions),
                    f"Most calls of one or more of these fail: {names}.",
                    threshold=FAILED_SHARE_LIMIT,
                    periods=5,
                )
            # Those in the background have an alarm each, above.
            elif role != "background":
                self._alarm(
                    f"{role}-errors",
                    _sum([function.function.metric_errors for function in functions]),
                    f"One or more of these fail again and again: {names}.",
                    periods=5,
                    datapoints=3,
                )
            # Steps and consumers have limits of their own, at which a storm of orders waits for a while.
            self._alarm(
                f"{role}-throttles",
                _sum([function.function.metric_throttles for function in functions]),
                f"One or more of these are not started, for want of concurrency: {names}.",
                periods=5 if role in ("api", "background") else 15,
            )

    def _watch_database(self, database: ManagedDatabase) -> None:
        policy = self._stage.database
        assert policy is not None, "it is what the database was made by"
        cluster = database.cluster
        proxy = {"ProxyName": database.proxy.db_proxy_name}
        for name, metric, threshold, periods, description in (
            (
                "database-cpu",
                cluster.metric_cpu_utilization(period=_PERIOD, statistic="Maximum"),
                85,
                10,
                "The database computes as much as it can: a statement without an index, or more orders than planned.",
            ),
            (
                "database-capacity",
                cluster.metric_acu_utilization(period=_PERIOD, statistic="Maximum"),
                90,
                15,
                "The database has grown to its largest size and needs nearly all of it.",
            ),
            (
                "database-connections",
                cluster.metric_database_connections(period=_PERIOD, statistic="Maximum"),
                CONNECTIONS_PER_ACU * policy.max_capacity,
                5,
                "The database has so many connections that it may soon refuse more.",
            ),
            (
                "database-storage",
                cluster.metric_volume_bytes_used(period=Duration.hours(1), statistic="Maximum"),
                policy.storage_limit_gb * 1_000**3,
                1,
                "The database holds more than planned: something is written and not removed.",
            ),
            (
                "database-proxy-waits",
                _proxy_metric("DatabaseConnectionsBorrowLatency", proxy, "Average"),
                BORROW_LIMIT.to_milliseconds() * 1_000,
                5,
                "Functions wait for a connection of the proxy.",
            ),
            (
                "database-proxy-refused",
                _proxy_metric("DatabaseConnectionsSetupFailed", proxy, "Sum"),
                1,
                5,
                "The proxy cannot connect to the database.",
            ),
        ):
            self._alarm(name, metric, description, threshold=threshold, periods=periods)

    def _watch_the_way_of_orders(self) -> None:
        name = "orders-not-moving"
        stations = (
            "relay-stopped",
            "outbox-lag",
            "outbox-waiting",
            f"{Queue.ORDER_PROCESSING}-age",
            "consumers-errors",
            "steps-errors",
            "completion-errors",
            "payment-circuit-open-process-payment",
        )
        alarm = cloudwatch.CompositeAlarm(
            self,
            name,
            composite_alarm_name=self._stage.resource_name(name),
            alarm_description=_described(
                name,
                f"Orders are accepted and do not get on. One or more of these fire: {', '.join(stations)}.",
            ),
            alarm_rule=cloudwatch.AlarmRule.any_of(
                *(
                    cloudwatch.AlarmRule.from_alarm(self._alarms[station], cloudwatch.AlarmState.ALARM)
                    for station in stations
                )
            ),
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        description: str,
        *,
        threshold: float = 1,
        periods: int = 1,
        datapoints: int | None = None,
        comparison: cloudwatch.ComparisonOperator = (
            cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
        ),
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        """An alarm that fires from `threshold` on, after so many periods in a row, or so many `datapoints` of them. It
        says so when it is over."""
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=self._stage.resource_name(name),
            alarm_description=_described(name, description),
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            datapoints_to_alarm=datapoints,
            comparison_operator=comparison,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)
        self._alarms[name] = alarm

    def _dashboard(
        self,
        pairs: tuple[QueuePair, ...],
        api: apigatewayv2.HttpApi,
        state_machine: stepfunctions.StateMachine,
        lag: cloudwatch.Metric,
    ) -> None:
        """In the order an order takes: API, outbox, queues, saga."""
        percentiles = ("p50", "p95")
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=self._stage.resource_name("pipeline"),
            widgets=[
                [
                    _graph(
                        "API requests",
                        api.metric_count(period=_PERIOD),
                        api.metric_client_error(period=_PERIOD),
                        api.metric_server_error(period=_PERIOD),
                    ),
                    _graph(
                        "API latency",
                        *(api.metric_latency(period=_PERIOD, statistic=each) for each in percentiles),
                    ),
                ],
                [
                    _graph("From commit to SQS (ms)", lag),
                    _graph(
                        "Oldest message by queue (s)",
                        *(
                            pair.queue.metric_approximate_age_of_oldest_message(
                                period=_PERIOD, label=pair.name
                            )
                            for pair in pairs
                        ),
                    ),
                ],
                [
                    _graph(
                        "Orders by end of their saga",
                        state_machine.metric_started(period=_PERIOD),
                        state_machine.metric_succeeded(period=_PERIOD),
                        state_machine.metric_failed(period=_PERIOD),
                        state_machine.metric_timed_out(period=_PERIOD),
                    ),
                    _graph(
                        "Time to a terminal state (ms)",
                        *(state_machine.metric_time(period=_PERIOD, statistic=each) for each in percentiles),
                    ),
                ],
                [
                    cloudwatch.SingleValueWidget(
                        title="Messages given up",
                        width=2 * _HALF,
                        metrics=[_visible(pair.dlq).with_(label=pair.name) for pair in pairs],
                    )
                ],
            ],
        )


def _described(name: str, description: str) -> str:
    return f"{description} Runbook: {section(name)}"


def _sum(metrics: Sequence[Callable[..., cloudwatch.Metric]]) -> cloudwatch.MathExpression:
    """Of one metric of several functions. Those that report nothing count as 0."""
    return cloudwatch.MathExpression(
        expression="SUM(METRICS())",
        using_metrics={
            f"m{number}": metric(period=_PERIOD, statistic="Sum") for number, metric in enumerate(metrics)
        },
        period=_PERIOD,
    )


def _failed_share(functions: Sequence[OrdersFunction]) -> cloudwatch.MathExpression:
    """The largest share of failed calls among the functions."""
    shares = [
        f"IF(calls{number} >= {FEWEST_CALLS}, errors{number} / calls{number}, 0)"
        for number in range(len(functions))
    ]
    metrics = {}
    for number, function in enumerate(functions):
        metrics[f"errors{number}"] = function.function.metric_errors(period=_PERIOD, statistic="Sum")
        metrics[f"calls{number}"] = function.function.metric_invocations(period=_PERIOD, statistic="Sum")
    return cloudwatch.MathExpression(
        expression=f"MAX([{', '.join(shares)}])", using_metrics=metrics, period=_PERIOD
    )


def _proxy_metric(name: str, proxy: Mapping[str, str], statistic: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/RDS", metric_name=name, dimensions_map={**proxy}, statistic=statistic, period=_PERIOD
    )


def _graph(title: str, *metrics: cloudwatch.Metric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, width=_HALF, left=[*metrics])


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
