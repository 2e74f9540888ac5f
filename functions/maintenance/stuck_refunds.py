"""Refunds that nobody works on any more: never started, or their execution failed, timed out, was stopped or is lost.

Another execution begins with the first step again. What has happened is on the refund's row, and happens once.
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection

from functions.maintenance.deadline import ORDER_SECONDS, TRANSACTION_SECONDS, Deadline
from orders import refunds, repairs
from orders.contract import Metric
from orders.db import Database
from orders.events import Trace
from orders.executions import Executions, ExecutionStatus
from orders.observability import count, logger
from orders.refunds import UnmovedRefund
from orders.repairs import Repair
from orders.tracing import current_traceparent

PATIENCE_SECONDS: Final = 60
"""How long a refund may stay as it is, or its published event unanswered, before somebody looks; and between two
looks."""
BATCH_SIZE: Final = 20
MAX_RESUMES: Final = 20
"""Executions that ended badly before an operator is asked."""


class StuckRefunds:
    """One look through all refunds that have not moved."""

    def __init__(self, database: Database, executions: Callable[[], Executions], deadline: Deadline) -> None:
        self._database = database
        self._connect = executions
        self._deadline = deadline

    def resume(self) -> int:
        """Starts those again whose execution is over or gone; returns how many.

        Raises:
            botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: Step Functions did not answer.
            DatabaseUnavailable: try again.
        """
        resumed = 0
        while self._deadline.allows(TRANSACTION_SECONDS + ORDER_SECONDS):
            unmoved = self._database.transact_alone(
                lambda connection: refunds.claim_unmoved(connection, PATIENCE_SECONDS, BATCH_SIZE)
            )
            for refund in unmoved:
                if self._deadline.allows(ORDER_SECONDS):
                    resumed += self._resume(refund)
            if len(unmoved) < BATCH_SIZE:
                break
        return resumed

    def _resume(self, refund: UnmovedRefund) -> bool:
        """Starts another execution if no other one is alive. True: it did."""
        executions = self._connect()
        replacement = executions.find_replacement(refund.refund_id, refund.resumes)
        if replacement is None:
            return False
        status, resumes = replacement
        if resumes > MAX_RESUMES:
            self._give_up(refund, status)
            return False
        details = {"execution": executions.name(refund.refund_id, resumes), "instead_of": status}

        def claim(connection: Connection) -> bool:
            if not refunds.claim_number(connection, refund, resumes):
                return False
            repairs.record(connection, Repair.REFUND_RESUMED, refund.order_id, details)
            return True

        # Written down before it is made: the number is ours then, whoever else is looking.
        trace = Trace(refund.correlation_id, current_traceparent())
        if not self._database.transact(claim) or not executions.start(refund.refund_id, trace, resumes):
            return False
        count(Metric.REFUNDS_RESUMED)
        logger.warning("Refund resumed", extra={"order_id": str(refund.order_id), **details})
        return True

    def _give_up(self, refund: UnmovedRefund, status: ExecutionStatus) -> None:
        details = {"refund": refund.refund_id, "executions": refund.resumes + 1, "last": status}

        def work(connection: Connection) -> bool:
            if not refunds.require_review(connection, refund.refund_id, f"States.{status}"):
                return False
            repairs.record(connection, Repair.REFUND_GIVEN_UP, refund.order_id, details)
            return True

        if self._database.transact(work):
            count(Metric.REFUNDS_NEEDING_REVIEW)
            logger.error(
                "Refund needs review: resuming it does not help",
                order_id=str(refund.order_id),
                refund_id=str(refund.refund_id),
                instead_of=status,
            )
