"""The executions of an order as Step Functions recorded them, and the order with everything around it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import Field

from functions.operations.orders.records import OrderRecords, read_records
from orders.aws import sdk_calls
from orders.closing import Balance, blockers
from orders.db import Database
from orders.domain import OrderStatus, ReservationStatus
from orders.errors import PaymentGatewayUnavailable
from orders.executions import Executions, ExecutionStatus
from orders.http import ApiModel
from orders.pages import LAST_NUMBER, cursor_after, number_before
from orders.payments.gateway import GatewayStatus, PaymentGateway
from orders.payments.records import PaymentBalance

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
    actions: list[Literal["resume", "close as CONFIRMED", "close as CANCELLED"]] = Field(
        description="What an operator may do now"
    )


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
    numbers = range(top - 1, max(top - 1 - EXECUTIONS_PER_PAGE, -1), -1)
    with sdk_calls("Step Functions"):
        items = [_report(executions, order_id, number) for number in numbers]
    return ExecutionList(
        items=items, next_cursor=cursor_after(listing, numbers[-1]) if numbers and numbers[-1] > 0 else None
    )


def read_report(
    database: Database, executions: Executions, gateway: PaymentGateway, order_id: UUID
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
    return OrderReport(
        order=records,
        execution=execution,
        gateway=at_gateway,
        actions=_actions(records, execution, at_gateway),
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


def _actions(
    records: OrderRecords, execution: ExecutionSummary, at_gateway: GatewayRecord | None
) -> list[Any]:
    if records.status is not OrderStatus.NEEDS_REVIEW or execution.status.is_live:
        return []
    if at_gateway is not None and at_gateway.status == "UNAVAILABLE":
        return ["resume"]
    balance = _balance(records, at_gateway)
    ends = (OrderStatus.CONFIRMED, OrderStatus.CANCELLED)
    return ["resume", *(f"close as {end}" for end in ends if not blockers(balance, end))]


def _balance(records: OrderRecords, at_gateway: GatewayRecord | None) -> Balance:
    payment = records.payment
    reserved = [reservation.status for reservation in records.reservations]
    is_known = at_gateway is not None and at_gateway.status in set(GatewayStatus)
    money = PaymentBalance(
        status=payment.status if payment else None,
        held=payment.captured - payment.refunded if payment else 0,
        at_gateway=GatewayStatus(at_gateway.status) if at_gateway and is_known else None,
    )
    return Balance(
        total=records.total_amount,
        money=money,
        lines=len(records.items),
        reserved=reserved.count(ReservationStatus.ACTIVE),
        sold=reserved.count(ReservationStatus.CONFIRMED),
    )
