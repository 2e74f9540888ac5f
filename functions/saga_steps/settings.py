from pydantic import Field

from orders.payments.settings import PaymentSettings


class Settings(PaymentSettings):
    """One class for all twelve functions, so that a step can be read without asking which variables it has."""

    reservation_ttl_seconds: int = Field(gt=0)
