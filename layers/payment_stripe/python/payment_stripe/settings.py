from urllib.parse import urlsplit

from pydantic import field_validator

from orders.settings import EnvironmentSettings

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class StripeSettings(EnvironmentSettings):
    """Which account, and where Stripe is."""

    stripe_api_key_secret_id: str
    """ARN or name of the Secrets Manager secret whose text is the API key: `rk_live_…`, `sk_test_…`."""
    stripe_api_base: str = "https://api.stripe.com"

    @field_validator("stripe_api_base")
    @classmethod
    def _keeps_the_key_secret(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError("this must be https, or this machine itself: the API key is sent there")
        return url.rstrip("/")
