from typing import Annotated

from pydantic import Field, Json, PositiveFloat

from orders.settings import ConsumerSettings
from orders.webhooks.settings import WebhookSettings


class Settings(ConsumerSettings, WebhookSettings):
    webhook_retry_seconds: Json[Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]]
    """A JSON list: the waits before the second, third … attempt. After the last one the delivery is given up."""
