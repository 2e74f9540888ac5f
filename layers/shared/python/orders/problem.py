"""Errors as RFC 9457 problem details. One table maps an error's type to its status; nothing else decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from orders import errors

CONTENT_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "https://orders.example/problems/"
"""Problem types are identifiers; `.example` is reserved (RFC 2606), so they promise no page."""


class ProblemField(BaseModel):
    """One refused field."""

    pointer: str = Field(examples=["#/items/0/quantity"], description="JSON Pointer as a URI fragment")
    detail: str


class Problem(BaseModel):
    """The body of every error response."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    type: str
    title: str
    status: int
    detail: str
    instance: str
    correlation_id: str
    errors: list[ProblemField] | None = None
    total_amount: int | None = Field(
        default=None, description="Of `price-changed`: what the order costs now, in minor units of `currency`"
    )
    currency: str | None = None
    possible_until: datetime | None = Field(
        default=None, description="Of `cancellation-closed`: until when it was possible"
    )


@dataclass(frozen=True)
class Kind:
    """A problem type: its HTTP status, its last path segment, its title."""

    status: int
    name: str
    title: str
    retry_after: int | None = None
    """Seconds, for the `Retry-After` header."""
    example: str = ""
    """What `detail` may say, for the API's document; else the title stands there."""
    members: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What the members that only some problems have may say, for the API's document."""


NO_ROUTE: Final = Kind(404, "not-found", "Not found", example="There is nothing at this address")
INVALID: Final = Kind(
    422,
    "invalid-request",
    "The request is not valid",
    example="Refused: #/items/0/quantity",
    members={"errors": [{"pointer": "#/items/0/quantity", "detail": "This must be at least 1"}]},
)
UNEXPECTED: Final = Kind(
    500, "internal-error", "Something went wrong on our side", example="The error has been recorded"
)

_KINDS: Final[dict[type[errors.OrdersError], Kind]] = {
    errors.MalformedRequest: Kind(400, "malformed-request", "The request is malformed"),
    errors.BodyTooLarge: Kind(413, "body-too-large", "The request body is too large"),
    errors.UnsupportedMediaType: Kind(415, "unsupported-media-type", "The media type is not supported"),
    errors.UnsupportedContentCoding: Kind(
        415,
        "unsupported-content-coding",
        "The content coding is not supported",
        example="Send gzip or deflate",
    ),
    errors.AdministratorsOnly: Kind(403, "administrators-only", "This is for administrators"),
    errors.PriorityNotAllowed: Kind(
        403,
        "priority-not-allowed",
        "Urgent orders are a right",
        example="Only members of the group 'priority' may place urgent orders",
    ),
    errors.AddressNotFound: NO_ROUTE,
    errors.MethodNotAllowed: Kind(405, "method-not-allowed", "The method is not allowed here"),
    errors.InvalidOrder: INVALID,
    errors.IdempotencyKeyReused: Kind(
        422, "idempotency-key-reused", "The Idempotency-Key was used for another request"
    ),
    errors.PriceChanged: Kind(
        409,
        "price-changed",
        "The order costs another amount than expected",
        example="The order costs USD 139.00 now, not USD 129.00",
        members={"totalAmount": 13900, "currency": "USD"},
    ),
    errors.TooManyOrders: Kind(429, "too-many-orders", "Too many orders"),
    errors.OrderNotFound: Kind(404, "order-not-found", "No such order", example="You have no such order"),
    errors.CancellationClosed: Kind(
        409,
        "cancellation-closed",
        "The order cannot be cancelled any more",
        example="The order could be cancelled until 2026-11-24T10:45:31Z",
        members={"possibleUntil": "2026-11-24T10:45:31.987654Z"},
    ),
    errors.OrderAlreadyCancelled: Kind(
        409,
        "order-already-cancelled",
        "The order is cancelled already",
        example="The order is cancelled already: PAYMENT_DECLINED",
    ),
    errors.OrderAlreadyRefunded: Kind(409, "order-already-refunded", "The order is refunded already"),
    errors.OrderInReview: Kind(
        409,
        "order-in-review",
        "An operator looks at the order",
        example="An operator looks at the order, and decides how it ends",
    ),
    errors.InvalidCursor: INVALID,
    errors.VersionRequired: Kind(428, "version-required", "The change must say which version it is of"),
    errors.VersionOutdated: Kind(412, "version-outdated", "It has been changed by somebody else"),
    errors.StockNotFree: Kind(
        409,
        "stock-not-free",
        "Less stock is free than would be taken away",
        example="3 are free; the others are reserved or sold",
    ),
    errors.ProductNotFound: Kind(404, "product-not-found", "No such product"),
    errors.QueueNotFound: Kind(404, "queue-not-found", "No such queue"),
    errors.MessageNotFound: Kind(404, "message-not-found", "No such message"),
    errors.EventNotFound: Kind(404, "event-not-found", "No such event"),
    errors.CustomerNotFound: Kind(404, "customer-not-found", "No such customer"),
    errors.SuppressedAddressNotFound: Kind(
        404, "suppressed-address-not-found", "The address is not suppressed"
    ),
    errors.NotificationNotFound: Kind(
        404,
        "notification-not-found",
        "No such message",
        example="No such message was asked for: send again what the order's `notifications` show",
    ),
    errors.RefundNotFound: Kind(404, "refund-not-found", "No such refund"),
    errors.InvalidRefund: INVALID,
    errors.OrderNotRefundable: Kind(
        409, "order-not-refundable", "The order cannot be refunded", example="The order is PROCESSING"
    ),
    errors.RefundExceedsCapture: Kind(
        409,
        "refund-exceeds-capture",
        "More would be refunded than is left of what was captured",
        example="25.00 USD of the order's 65.00 USD can still be refunded",
    ),
    errors.RefundExceedsSale: Kind(
        409, "refund-exceeds-sale", "More would be returned than is left of what was sold"
    ),
    errors.OperationRefused: Kind(409, "operation-refused", "This cannot be done to what there is"),
    errors.OrderNotInReview: Kind(409, "order-not-in-review", "The order does not wait for an operator"),
    errors.OrderBusy: Kind(409, "order-busy", "Something is still at work on the order"),
    errors.RefundNotInReview: Kind(409, "refund-not-in-review", "The refund does not wait for an operator"),
    errors.RefundBusy: Kind(409, "refund-busy", "Something is still at work on the refund"),
    errors.RefundGivenBack: Kind(409, "refund-given-back", "The refund's money has moved, or may have"),
    errors.OrderDoesNotFit: Kind(409, "order-does-not-fit", "The order's money or stock does not fit"),
    errors.NotificationNotResendable: Kind(
        409,
        "notification-not-resendable",
        "The message cannot be sent again",
        example="The message is on its way: it is QUEUED",
    ),
    errors.EventNeeded: Kind(409, "event-needed", "The event cannot be discarded"),
    errors.NothingToRedrive: Kind(409, "nothing-to-redrive", "There is nothing left to redrive"),
    errors.ServiceUnavailable: Kind(
        503, "service-unavailable", "A service that this needs does not answer", retry_after=5
    ),
    errors.PaymentGatewayUnavailable: Kind(
        503, "payment-gateway-unavailable", "The payment gateway does not answer", retry_after=30
    ),
    errors.InvalidWebhook: INVALID,
    errors.WebhookNotFound: Kind(
        404, "webhook-not-found", "No such webhook", example="You have no such webhook"
    ),
    errors.DeliveryNotFound: Kind(404, "delivery-not-found", "No such delivery"),
    errors.WebhookLimitReached: Kind(
        409, "webhook-limit-reached", "There are as many webhooks as one user may have"
    ),
    errors.WebhookDisabled: Kind(409, "webhook-disabled", "The webhook is disabled"),
    errors.TooManySecrets: Kind(409, "too-many-secrets", "Too many secrets of the webhook are in use"),
    errors.TooManyTests: Kind(429, "too-many-tests", "Too many tests were sent"),
    errors.TooManyRedeliveries: Kind(429, "too-many-redeliveries", "Too many deliveries sent again"),
    errors.RecipientNotFound: Kind(
        404, "recipient-not-found", "No such recipient", example="You have no such recipient"
    ),
    errors.RecipientLimitReached: Kind(
        409, "recipient-limit-reached", "There are as many recipients as one user may have"
    ),
    errors.TooManyCodes: Kind(429, "too-many-codes", "Too many codes"),
    errors.WrongCode: Kind(422, "wrong-code", "The code is wrong", example="4 attempts are left"),
    errors.CodeExpired: Kind(
        409, "code-expired", "The code is not valid any more", example="Ask for a new code"
    ),
    errors.DatabaseUnavailable: Kind(
        503,
        "temporarily-unavailable",
        "The service is temporarily unavailable",
        retry_after=2,
        example="Please try again",
    ),
}


def kind_of(error: Exception) -> Kind:
    """The problem type of an error; anything not meant for callers is `internal-error`, and tells nothing."""
    return kind_for(type(error))


def kind_for(error: type[Exception]) -> Kind:
    """The same, by the error's type."""
    return next((_KINDS[kind] for kind in error.__mro__ if kind in _KINDS), UNEXPECTED)
