"""How a function is started every minute."""

from typing import Final

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from constructs import Construct

INTERVAL: Final = Duration.minutes(1)


def start_every_minute(scope: Construct, function: lambda_.Function, *, name: str, description: str) -> None:
    """Schedules the function, with a role that may start this one and no other.

    A run that fails, or that could not start in time, is made good by the next minute's, not by a retry.
    """
    # Made here because the role that the target would make may invoke every version of the function.
    role = iam.Role(
        scope,
        "SchedulerRole",
        assumed_by=iam.ServicePrincipal(
            "scheduler.amazonaws.com",
            conditions={"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}},
        ),
    )
    function.grant_invoke_latest_version(role)
    function.configure_async_invoke(retry_attempts=0, max_event_age=INTERVAL)
    scheduler.Schedule(
        scope,
        "EveryMinute",
        schedule_name=name,
        description=description,
        schedule=scheduler.ScheduleExpression.rate(INTERVAL),
        target=targets.LambdaInvoke(
            function,
            role=role.without_policy_updates(),
            retry_attempts=0,
            max_event_age=INTERVAL,
        ),
    )
