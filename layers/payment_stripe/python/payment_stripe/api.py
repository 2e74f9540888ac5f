"""Stripe's API: a client with our key, within the time that a step has, whose failures are ours.

Stripe's library and what it stands on take 0.4 s to import: they are imported with the first call. Its own retries are
off. It knows neither `Retry-After` nor how much of the function's time is left.
"""

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from orders import aws
from orders.contract import Metric
from orders.errors import PaymentGatewayTimeout, PaymentGatewayUnavailable, ServiceUnavailable
from orders.observability import count, logger
from payment_stripe.settings import StripeSettings

if TYPE_CHECKING:
    import stripe

T = TypeVar("T")

API_VERSION: Final = "2026-10-28.endive"
"""Pinned: a newer library must not change what is returned. It is also the version of our webhook endpoint."""


@dataclass(frozen=True)
class Patience:
    """How long calls may take, in seconds."""

    connect: float = 1
    read: float = 8
    total: float = 19
    """All requests of one call of the gateway together. A step's function has 25."""
    wait: float = 0.3
    """Before a request is repeated for the first time; twice as long before the next time."""

    @property
    def request(self) -> float:
        return self.connect + self.read


class StripeApi:
    """Requests to Stripe."""

    def __init__(self, settings: StripeSettings, patience: Patience) -> None:
        self._settings = settings
        self._patience = patience

    def begin(self) -> "Requests":
        """The requests of one call of the gateway: their time begins now."""
        return Requests(self, self._patience)

    def client(self, *, afresh: bool = False) -> "stripe.StripeClient":
        """The client with the key as it is in the secret: read again after some minutes, or at once if `afresh`.

        Raises:
            PaymentGatewayUnavailable: Secrets Manager did not give it.
        """
        try:
            key = aws.read_secret(self._settings.stripe_api_key_secret_id, afresh=afresh).strip()
        except ServiceUnavailable as error:
            raise PaymentGatewayUnavailable("Stripe's key cannot be read", gateway_at_fault=False) from error
        return _client(key, self._settings.stripe_api_base, self._patience)


@functools.lru_cache(maxsize=2)
def _client(key: str, base: str, patience: Patience) -> "stripe.StripeClient":
    import requests
    import stripe

    # It logs what it sends and gets, with the customers' client secrets.
    logging.getLogger("stripe").setLevel(logging.WARNING)
    stripe.enable_telemetry = False
    session = requests.Session()
    # Neither a proxy nor a password from this machine's files.
    session.trust_env = False
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        base_addresses={"api": base},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=(patience.connect, patience.read), session=session),
    )


class Requests:
    """Requests that share the time of one call of the gateway."""

    def __init__(self, api: StripeApi, patience: Patience) -> None:
        self._api = api
        self._patience = patience
        self._ends = time.monotonic() + patience.total

    def send(self, request: "Callable[[stripe.StripeClient], T]", *, is_repeatable: bool = True) -> T:
        """Sends a request, again as long as that may help and there is time.

        `is_repeatable`: it may be repeated though nobody knows whether it took effect.

        Raises:
            stripe.CardError, stripe.InvalidRequestError, stripe.IdempotencyError: it is refused for what it asks.
            PaymentGatewayUnavailable: it had no effect.
            PaymentGatewayTimeout: it may have had one.
        """
        import stripe

        client = self._api.client()
        wait = self._patience.wait
        is_renewed = False
        while True:
            if not self._has_time(0):
                raise PaymentGatewayUnavailable(
                    "the time of this call is over: it goes on in the next one", gateway_at_fault=False
                )
            try:
                return request(client)
            except (stripe.CardError, stripe.InvalidRequestError, stripe.IdempotencyError):
                raise
            except (stripe.AuthenticationError, stripe.PermissionError) as error:
                if is_renewed or isinstance(error, stripe.PermissionError):
                    raise _no_access(error) from error
                # Perhaps it was rotated since.
                client, is_renewed = self._api.client(afresh=True), True
            except stripe.StripeError as error:
                failure = _failure(error)
                wait = max(wait, _retry_after(error))
                is_unknown = isinstance(failure, PaymentGatewayTimeout)
                if (is_unknown and not is_repeatable) or not _may_help(error) or not self._has_time(wait):
                    raise failure from error
                time.sleep(wait)
                wait *= 2

    def _has_time(self, wait: float) -> bool:
        return time.monotonic() + wait + self._patience.request <= self._ends


def is_replayed(error: "stripe.StripeError") -> bool:
    """Whether Stripe has only repeated what it had responded to an earlier request with the same key."""
    return _header(error, "idempotent-replayed") == "true"


def _no_access(error: "stripe.StripeError") -> PaymentGatewayUnavailable:
    count(Metric.STRIPE_AUTHENTICATION_FAILED)
    logger.error(
        "Stripe refuses our key: no order can be paid until somebody gives it another one",
        extra={"http_status": error.http_status, "request_id": error.request_id},
    )
    return PaymentGatewayUnavailable(f"Stripe refuses our key ({error.http_status})")


def _failure(error: "stripe.StripeError") -> PaymentGatewayUnavailable:
    """As ours. The text of Stripe's own error may name a payment method, and is left out."""
    import stripe

    request = f", {error.request_id}" if error.request_id else ""
    if isinstance(error, stripe.APIConnectionError):
        if _was_never_sent(error):
            return PaymentGatewayUnavailable("Stripe cannot be reached")
        return PaymentGatewayTimeout("Stripe did not respond in time")
    if isinstance(error, stripe.RateLimitError):
        # A lock is somebody else's request for the same payment. The library leaves `code` empty for a 429.
        is_locked = error.error is not None and error.error.code == "lock_timeout"
        return PaymentGatewayUnavailable(
            f"Stripe asks for patience (429{request})", gateway_at_fault=not is_locked
        )
    if error.http_status == 409:
        return PaymentGatewayUnavailable(
            f"another request for the same payment is under way (409{request})", gateway_at_fault=False
        )
    return PaymentGatewayTimeout(f"Stripe failed ({error.http_status}{request})")


def _was_never_sent(error: Exception) -> bool:
    import requests
    from urllib3.exceptions import NewConnectionError

    cause = error.__cause__
    if isinstance(cause, requests.exceptions.SSLError | requests.exceptions.ConnectTimeout):
        return True
    reason = getattr(cause.args[0], "reason", None) if cause is not None and cause.args else None
    return isinstance(reason, NewConnectionError)


def _may_help(error: "stripe.StripeError") -> bool:
    """Whether the same request may succeed now."""
    advice = _header(error, "stripe-should-retry")
    if advice is not None:
        return advice == "true"
    # What is only replayed will be replayed again.
    return not is_replayed(error)


def _retry_after(error: "stripe.StripeError") -> float:
    value = _header(error, "retry-after") or ""
    return float(value) if value.isdecimal() else 0


def _header(error: "stripe.StripeError", name: str) -> str | None:
    headers = {key.lower(): value for key, value in (error.headers or {}).items()}
    return headers.get(name)
