from pydantic import Json, model_validator

from orders.events import Queue
from orders.payments.settings import PaymentSettings


class Settings(PaymentSettings):
    state_machine_arn: str
    refund_state_machine_arn: str
    queue_urls: Json[dict[Queue, str]]
    """A JSON object from queue names to URLs."""
    dlq_urls: Json[dict[Queue, str]]
    """The same for their dead-letter queues."""

    @model_validator(mode="after")
    def _every_queue(self) -> "Settings":
        missing = sorted(set(Queue) - (self.queue_urls.keys() & self.dlq_urls.keys()))
        if missing:
            raise ValueError(f"no URL for {', '.join(missing)} or its dead-letter queue")
        return self
