"""The use case: one execution for each order. Its name is the order's, so Step Functions itself refuses a second one
(promises I6 and I9)."""

from orders.aws import sdk_calls
from orders.events import CloudEvent
from orders.executions import Executions
from orders.observability import logger


def start_saga(executions: Executions, event: CloudEvent) -> None:
    """Starts the saga of the event's order. An order whose saga was started before is a success.

    Raises:
        ServiceUnavailable: it is not known to be started; the same event may be tried again.
    """
    with sdk_calls("Step Functions"):
        is_new = executions.start(event.subject, event.trace)
    logger.info("Saga started" if is_new else "Saga was started before")
