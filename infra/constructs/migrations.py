"""The database schema, brought up to date inside the deploy."""

from collections.abc import Iterable
from typing import Final

from aws_cdk import Duration, triggers
from constructs import Construct

from infra.constructs.function import FunctionRuntime, OrdersFunction

_TIMEOUT: Final = Duration.minutes(10)


class Migrations(Construct):
    """Runs `migrate` in every deploy that changes it, before anything that uses the database is made or changed.

    The running functions meet the new schema first, so a migration must suit the code before it too. If it fails,
    the deploy fails and rolls back.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        runtime: FunctionRuntime,
        before: Iterable[OrdersFunction],
    ) -> None:
        super().__init__(scope, id)
        self.migrate = OrdersFunction(
            self,
            "Migrate",
            runtime=runtime,
            timeout=_TIMEOUT,
            with_payment_provider=True,
            description="Brings the database's schema up to date",
        )
        triggers.Trigger(
            self,
            "Run",
            handler=self.migrate.function,
            timeout=_TIMEOUT,
            execute_after=[runtime.database],
            execute_before=list(before),
        )
