from pydantic import Json, NonNegativeInt, model_validator

from orders.events import Queue
from orders.payments.settings import PaymentSettings
from orders.settings import CancellationSettings


class Settings(PaymentSettings, CancellationSettings):
    state_machine_arn: str
    refund_state_machine_arn: str
    queue_urls: Json[dict[Queue, str]]
    """A JSON object from queue names to URLs."""
    dlq_urls: Json[dict[Queue, str]]
    """The same for their dead-letter queues."""

    redeliveries_per_hour: NonNegativeInt
    """How many webhook deliveries one customer may have sent again."""
    log_group_prefix: str
    """What the names of all functions' log groups begin with; a function's name follows."""
    logging_functions: Json[list[str]]
    """A JSON array of these functions' names."""

    @model_validator(mode="after")
    def _every_queue(self) -> "Settings":
        missing = sorted(set(Queue) - (self.queue_urls.keys() & self.dlq_urls.keys()))
        if missing:
            raise ValueError(f"no URL for {', '.join(missing)} or its dead-letter queue")
        return self
