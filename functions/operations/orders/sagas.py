"""The executions of an order as Step Functions recorded them, and the order with everything around it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import Field

from functions.operations.orders import possibilities
from functions.operations.orders.advice import OperatorAction, ReviewAdvice, advise, possible_actions
from functions.operations.orders.possibilities import Possibility
from functions.operations.orders.records import OrderRecords, read_records
from orders import closing, lifecycle
from orders.aws import sdk_calls
from orders.db import Database
from orders.domain import OrderStatus
from orders.errors import PaymentGatewayUnavailable
from orders.executions import Executions, ExecutionStatus
from orders.http import ApiModel
from orders.pages import LAST_NUMBER, cursor_after, number_before
from orders.payments.gateway import GatewayStatus, PaymentGateway

EXECUTIONS_PER_PAGE: Final = 5
"""Each costs two calls or more."""

_FAILED_ATTEMPTS: Final = frozenset(
    {"TaskFailed", "TaskTimedOut", "TaskStartFailed", "TaskSubmitFailed", "TaskStartTimedOut"}
)


class StateVisit(ApiModel):
    """One state that an execution passed, with the attempts that failed in it."""

    state: str
    entered_at: datetime
    exited_at: datetime | None
    errors: list[str]


class ExecutionSummary(ApiModel):
    name: str
    status: ExecutionStatus
    started_at: datetime | None
    stopped_at: datetime | None
    error: str | None = Field(description="The name of what ended it")


class ExecutionReport(ExecutionSummary):
    states: list[StateVisit]


class ExecutionList(ApiModel):
    """Newest first."""

    items: list[ExecutionReport]
    next_cursor: str | None


class GatewayRecord(ApiModel):
    """What the payment gateway says of the order's payment."""

    status: GatewayStatus | Literal["NONE", "UNAVAILABLE"]


class OrderReport(ApiModel):
    """An order with everything around it, and what an operator may do to it now."""

    order: OrderRecords
    execution: ExecutionSummary = Field(description="The newest one")
    gateway: GatewayRecord | None = Field(description="null: the order has no payment")
    actions: list[OperatorAction] = Field(description="What an operator may do about its review now")
    operator_actions: list[Possibility] = Field(
        description="All that operators do to orders, always in the same order, and whether it may be done now"
    )
    review: ReviewAdvice | None = Field(description="Why it is under review; null: it is not")


def list_executions(
    database: Database, executions: Executions, order_id: UUID, cursor: str | None
) -> ExecutionList:
    """A page of an order's executions with the states that they passed, newest first.

    Raises:
        OrderNotFound: there is no such order.
        InvalidCursor: it is not of this list.
        ServiceUnavailable, DatabaseUnavailable: try again.
    """
    listing = f"admin sagas {order_id}"
    known = read_records(database, order_id).executions
    top = min(number_before(listing, cursor, LAST_NUMBER), known)
    with sdk_calls("Step Functions"):
        items = [*newest_executions(executions, order_id, top)]
    left = top - len(items)
    return ExecutionList(items=items, next_cursor=cursor_after(listing, left) if left > 0 else None)


def newest_executions(executions: Executions, order_id: UUID, known: int) -> Iterator[ExecutionReport]:
    """The newest `EXECUTIONS_PER_PAGE` of the first `known` executions, newest first. Raises as `Executions` does."""
    for number in range(known - 1, max(known - 1 - EXECUTIONS_PER_PAGE, -1), -1):
        yield _report(executions, order_id, number)


def read_report(
    database: Database,
    executions: Executions,
    gateway: PaymentGateway,
    order_id: UUID,
    cancellation_window_minutes: int,
) -> OrderReport:
    """An order with its newest execution, the gateway's word, and what may be done to it.

    Raises:
        OrderNotFound: there is no such order.
        ServiceUnavailable, DatabaseUnavailable: try again.
    """
    records = read_records(database, order_id)
    with sdk_calls("Step Functions"):
        execution = ExecutionSummary.of(vars(executions.describe(order_id, records.executions - 1)))
    at_gateway = _at_gateway(gateway, records)
    findings = _findings(database, records, at_gateway)
    actions = possible_actions(findings, execution.status)
    return OrderReport(
        order=records,
        execution=execution,
        gateway=at_gateway,
        actions=actions,
        operator_actions=possibilities.look(
            database,
            order_id,
            findings=findings,
            execution=execution.status,
            cancellation_window_minutes=cancellation_window_minutes,
        ),
        review=advise(records, execution.status, execution.error, findings, actions) if findings else None,
    )


def summarise(events: Iterable[Mapping[str, Any]]) -> list[StateVisit]:
    """The states of a history in the order in which they were entered."""
    visits: list[_Visit] = []
    for event in events:
        kind: str = event["type"]
        if kind.endswith("StateEntered"):
            visits.append(_Visit(event["stateEnteredEventDetails"]["name"], event["timestamp"]))
        elif kind.endswith("StateExited"):
            visits[-1].exited_at = event["timestamp"]
        elif kind in _FAILED_ATTEMPTS:
            visits[-1].errors += (_error(event),)
    return [
        StateVisit(
            state=visit.state, entered_at=visit.entered_at, exited_at=visit.exited_at, errors=[*visit.errors]
        )
        for visit in visits
    ]


@dataclass
class _Visit:
    state: str
    entered_at: datetime
    exited_at: datetime | None = None
    errors: tuple[str, ...] = ()


def _error(event: Mapping[str, Any]) -> str:
    kind: str = event["type"]
    details = event.get(f"{kind[0].lower()}{kind[1:]}EventDetails", {})
    return str(details.get("error", "States.Timeout" if kind.endswith("TimedOut") else "unknown"))


def _report(executions: Executions, order_id: UUID, number: int) -> ExecutionReport:
    execution = executions.describe(order_id, number)
    is_gone = execution.status is ExecutionStatus.GONE
    states = [] if is_gone else summarise(executions.history(order_id, number))
    return ExecutionReport.of(vars(execution), states=states)


def _at_gateway(gateway: PaymentGateway, records: OrderRecords) -> GatewayRecord | None:
    if records.payment is None:
        return None
    try:
        found = gateway.find(records.payment.provider_key)
    except PaymentGatewayUnavailable:
        return GatewayRecord(status="UNAVAILABLE")
    return GatewayRecord(status="NONE" if found is None else found.status)


def _findings(
    database: Database, records: OrderRecords, at_gateway: GatewayRecord | None
) -> list[closing.Finding]:
    """What is known of an order under review; nothing of any other."""
    if records.status is not OrderStatus.NEEDS_REVIEW:
        return []
    said = at_gateway.status if at_gateway else "NONE"
    balance = database.transact_alone(
        lambda connection: lifecycle.read_balance(
            connection,
            records.order_id,
            at_gateway=GatewayStatus(said) if said in set(GatewayStatus) else None,
            gateway_answers=said != "UNAVAILABLE",
        )
    )
    return closing.find(balance)
