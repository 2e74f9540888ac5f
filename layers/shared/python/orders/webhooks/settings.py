from typing import Self

from pydantic import model_validator

from orders.settings import DatabaseSettings


class WebhookSettings(DatabaseSettings):
    webhook_key_id: str
    """ARN or name of the Secrets Manager secret that holds the key of all webhooks' secrets."""
    allow_loopback_webhooks: bool = False
    """Whether webhooks may lead to this machine, by http and to any port: for the local stage alone."""

    @model_validator(mode="after")
    def _loopback_is_local(self) -> Self:
        if self.allow_loopback_webhooks and self.stage != "local":
            raise ValueError("ALLOW_LOOPBACK_WEBHOOKS is for the local stage")
        return self
