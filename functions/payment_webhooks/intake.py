"""The use case: a webhook of the payment provider is checked, and queued as a hint. Nothing is looked up, so it works
also while there is no database, and the provider never waits.
"""

import base64
import binascii
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from functions.payment_webhooks.settings import Settings
from orders import aws
from orders.contract import Metric
from orders.errors import AddressNotFound, BodyTooLarge, MalformedRequest
from orders.observability import count, logger
from orders.payments.provider import PaymentProvider
from orders.payments.webhooks import InvalidSignature, ProviderEvent, ProviderMessage, Verifier, verifier
from orders.tracing import message_attributes

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MAX_BODY_BYTES: Final = 256 * 1024
"""An event of the common providers has a few kilobytes."""

_READ_TIMEOUT_SECONDS: Final = 2
_ATTEMPTS: Final = 2


@dataclass(frozen=True)
class Intake:
    """What takes in the events of one provider."""

    provider: PaymentProvider
    verify: Verifier
    secrets: Callable[[], str]
    """Those that the provider may sign with, with white space between them."""
    queue_url: str

    @classmethod
    def from_settings(cls, settings: Settings) -> "Intake":
        return cls(
            settings.payment_provider,
            verifier(settings.payment_provider),
            functools.partial(aws.read_secret, settings.signing_secret_id),
            settings.queue_url,
        )

    def receive(
        self, provider: str, request: Mapping[str, Any], correlation_id: str, traceparent: str
    ) -> None:
        """Queues the event of a request (an HTTP API event), unless it is of a type that nobody needs.

        Raises:
            AddressNotFound: it is another provider's address.
            BodyTooLarge, MalformedRequest: it is not the provider's. Whoever sent it is not told why.
            ServiceUnavailable: it is not queued; the provider sends it again.
        """
        if provider != self.provider:
            raise AddressNotFound
        body = _raw_body(request)
        headers = {name.lower(): value for name, value in (request.get("headers") or {}).items()}
        try:
            event = self._verified(body, headers)
        except InvalidSignature:
            count(Metric.PAYMENT_WEBHOOKS_REFUSED)
            logger.warning("Webhook of the payment provider refused: it is not signed with the shared secret")
            raise MalformedRequest("The request is not acceptable") from None
        if event is None:
            return
        message = ProviderMessage(
            provider=self.provider,
            event_id=event.event_id,
            type=event.type,
            payment_id=event.payment_id,
            key=event.key,
            correlation_id=correlation_id,
        )
        with aws.sdk_calls("SQS"):
            _sqs().send_message(
                QueueUrl=self.queue_url,
                MessageBody=message.model_dump_json(by_alias=True),
                MessageSystemAttributes=message_attributes(traceparent),
            )
        logger.info("Event of the payment provider queued", event_id=str(message.id), type=event.type)

    def _verified(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent | None:
        for secret in self.secrets().split():
            try:
                return self.verify(body, headers, secret)
            except InvalidSignature:
                continue
        raise InvalidSignature


def _raw_body(request: Mapping[str, Any]) -> bytes:
    """The bytes as they were signed. API Gateway hands them over as text or in base64."""
    body: str = request.get("body") or ""
    # Before it is decoded: base64 is a third longer.
    if len(body) > MAX_BODY_BYTES * 4 // 3 + 4:
        raise BodyTooLarge(f"At most {MAX_BODY_BYTES} bytes are accepted")
    try:
        raw = base64.b64decode(body, validate=True) if request.get("isBase64Encoded") else body.encode()
    except (binascii.Error, ValueError):
        raise MalformedRequest("The request is not acceptable") from None
    if len(raw) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"At most {MAX_BODY_BYTES} bytes are accepted")
    return raw


@functools.cache
def _sqs() -> "SQSClient":
    client: SQSClient = aws.connect("sqs", read_timeout_seconds=_READ_TIMEOUT_SECONDS, attempts=_ATTEMPTS)
    return client
