"""What the maintenance tests share: Step Functions as they left it, time that has passed, and its end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import boto3
from moto import mock_aws
from moto.stepfunctions.models import stepfunctions_backends

from functions.maintenance.deadline import Deadline
from orders.db import Database
from orders.executions import Executions, ExecutionStatus, Subject, execution_name
from tests.support.factories import execute, rows

PLENTY = Deadline(lambda: 60)
NO_TIME = Deadline(lambda: 1)

_MACHINE = '{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}'


class StepFunctions:
    """A state machine in moto, whose executions run until a test ends them."""

    def __init__(self) -> None:
        self.client = boto3.client("stepfunctions", region_name="us-east-1")
        machine = self.client.create_state_machine(
            name="orders-test-order-saga",
            definition=_MACHINE,
            roleArn="arn:aws:iam::123456789012:role/saga",
        )
        self.executions = Executions(self.client, machine["stateMachineArn"])
        self._machine_arn = machine["stateMachineArn"]
        refunds = self.client.create_state_machine(
            name="orders-test-order-refund",
            definition=_MACHINE,
            roleArn="arn:aws:iam::123456789012:role/refund",
        )
        self.refunds = Executions(self.client, refunds["stateMachineArn"], Subject.REFUND)

    @classmethod
    @contextmanager
    def running(cls) -> Iterator["StepFunctions"]:
        with mock_aws():
            yield cls()

    def end(self, order_id: UUID, status: ExecutionStatus, resumes: int = 0) -> None:
        """Ends an execution in a way that moto does not know."""
        machine, _ = stepfunctions_backends["123456789012"]["us-east-1"].state_machines
        name = execution_name(order_id, resumes)
        (execution,) = [execution for execution in machine.executions if execution.name == name]
        execution.status = str(status)

    def forget_everything(self) -> None:
        """What a restart of the emulator does."""
        for machine in stepfunctions_backends["123456789012"]["us-east-1"].state_machines:
            machine.executions.clear()

    def end_refund(self, refund_id: UUID, status: ExecutionStatus, resumes: int = 0) -> None:
        """The same of a refund's."""
        _, machine = stepfunctions_backends["123456789012"]["us-east-1"].state_machines
        name = self.refunds.name(refund_id, resumes)
        (execution,) = [execution for execution in machine.executions if execution.name == name]
        execution.status = str(status)

    @property
    def started(self) -> dict[str, str]:
        """Every execution's status by its name."""
        found = self.client.list_executions(stateMachineArn=self._machine_arn)["executions"]
        return {execution["name"]: execution["status"] for execution in found}

    def input(self, order_id: UUID, resumes: int = 0) -> str:
        arn = self._machine_arn.replace(":stateMachine:", ":execution:")
        described = self.client.describe_execution(executionArn=f"{arn}:{execution_name(order_id, resumes)}")
        return described["input"]


def let_time_pass(database: Database, seconds: float) -> None:
    """By moving everything that the database's clock is compared with."""
    for table, column in (
        ("orders", "updated_at"),
        ("outbox", "published_at"),
        ("saga_recoveries", "next_check_at"),
        ("reservations", "expires_at"),
        ("payments", "updated_at"),
        ("refunds", "updated_at"),
    ):
        execute(
            database,
            f"UPDATE {table} SET {column} = {column} - make_interval(secs => :seconds)",
            seconds=seconds,
        )


def publish_all(database: Database) -> None:
    """What a relay does, as far as the outbox shows it."""
    execute(database, "UPDATE outbox SET status = 'PUBLISHED', published_at = now() WHERE status = 'PENDING'")


def wait_for_a_lock(observer: Database) -> None:
    """Until some session of the database waits for another one; the observer is neither of them."""
    sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    deadline = time.monotonic() + 10
    while not rows(observer, sql):
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.02)


def order_status(database: Database, order_id: UUID) -> str:
    (order,) = rows(database, "SELECT status FROM orders WHERE id = :order_id", order_id=order_id)
    return str(order["status"])


def repairs(database: Database) -> list[str]:
    """The kinds of the recorded repairs, in order."""
    return [row["kind"] for row in rows(database, "SELECT kind FROM repairs ORDER BY id")]
