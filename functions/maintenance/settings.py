from datetime import timedelta
from typing import Final

from pydantic import Field

from orders.payments.settings import PaymentSettings

MIN_CONTACT_RETENTION_DAYS: Final = 7
"""As long as idempotency keys are kept: their fingerprints are hashes of bodies with an address in them."""


class Settings(PaymentSettings):
    state_machine_arn: str
    refund_state_machine_arn: str
    contact_retention_days: int = Field(ge=MIN_CONTACT_RETENTION_DAYS)
    """How long after an order's end its contact data is kept."""

    @property
    def contact_retention(self) -> timedelta:
        return timedelta(days=self.contact_retention_days)
