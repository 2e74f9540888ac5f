"""The use case: one execution for each order and for each refund. Its name is theirs, so Step Functions itself refuses
a second one (promises I6, I9 and I13)."""

from dataclasses import dataclass

from orders.aws import sdk_calls
from orders.errors import UnexpectedEvent
from orders.events import CloudEvent, ExecutionRequested, OrderCreated, RefundRequested
from orders.executions import Executions
from orders.observability import logger


@dataclass(frozen=True)
class StateMachines:
    """Those that an event may start an execution of."""

    orders: Executions
    refunds: Executions


def start_execution(machines: StateMachines, event: CloudEvent, requested: ExecutionRequested) -> None:
    """Starts the saga of the event's order, or its refund. One that was started before is a success.

    Raises:
        ServiceUnavailable: it is not known to be started; the same event may be tried again.
    """
    with sdk_calls("Step Functions"):
        match requested:
            case OrderCreated():
                is_new = machines.orders.start(event.subject, event.trace)
            case RefundRequested():
                is_new = machines.refunds.start(requested.refund_id, event.trace)
            case _:
                raise UnexpectedEvent(f"nothing is started for {event.type}")
    logger.info("Execution started" if is_new else "Execution was started before", type=event.type)
