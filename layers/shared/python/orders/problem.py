"""Errors as RFC 9457 problem details. One table maps an error's type to its status; nothing else decides."""

from typing import Final

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


class Kind(BaseModel):
    """A problem type: its last path segment, its title, its HTTP status."""

    model_config = ConfigDict(frozen=True)

    name: str
    title: str
    status: int
    retry_after: int | None = None
    """Seconds, for the `Retry-After` header."""
    example: str = ""
    """What `detail` may say, for the API's document; else the title stands there."""


NO_ROUTE: Final = Kind(
    name="not-found", title="Not found", status=404, example="There is nothing at this address"
)
INVALID: Final = Kind(
    name="invalid-request",
    title="The request is not valid",
    status=422,
    example="Refused: #/items/0/quantity",
)
UNEXPECTED: Final = Kind(
    name="internal-error",
    title="Something went wrong on our side",
    status=500,
    example="The error has been recorded",
)

_KINDS: Final[dict[type[errors.OrdersError], Kind]] = {
    errors.MalformedRequest: Kind(name="malformed-request", title="The request is malformed", status=400),
    errors.BodyTooLarge: Kind(name="body-too-large", title="The request body is too large", status=413),
    errors.UnsupportedMediaType: Kind(
        name="unsupported-media-type", title="The media type is not supported", status=415
    ),
    errors.AdministratorsOnly: Kind(
        name="administrators-only", title="This is for administrators", status=403
    ),
    errors.AddressNotFound: NO_ROUTE,
    errors.MethodNotAllowed: Kind(
        name="method-not-allowed", title="The method is not allowed here", status=405
    ),
    errors.InvalidOrder: INVALID,
    errors.IdempotencyKeyReused: Kind(
        name="idempotency-key-reused", title="The Idempotency-Key was used for another request", status=422
    ),
    errors.TooManyOrders: Kind(name="too-many-orders", title="Too many orders", status=429),
    errors.OrderNotFound: Kind(
        name="order-not-found", title="No such order", status=404, example="You have no such order"
    ),
    errors.InvalidCursor: INVALID,
    errors.VersionRequired: Kind(
        name="version-required", title="The change must say which version it is of", status=428
    ),
    errors.VersionOutdated: Kind(
        name="version-outdated", title="It has been changed by somebody else", status=412
    ),
    errors.StockNotFree: Kind(
        name="stock-not-free",
        title="Less stock is free than would be taken away",
        status=409,
        example="3 are free; the others are reserved or sold",
    ),
    errors.ProductNotFound: Kind(name="product-not-found", title="No such product", status=404),
    errors.QueueNotFound: Kind(name="queue-not-found", title="No such queue", status=404),
    errors.MessageNotFound: Kind(name="message-not-found", title="No such message", status=404),
    errors.EventNotFound: Kind(name="event-not-found", title="No such event", status=404),
    errors.OperationRefused: Kind(
        name="operation-refused", title="This cannot be done to what there is", status=409
    ),
    errors.OrderNotInReview: Kind(
        name="order-not-in-review", title="The order does not wait for an operator", status=409
    ),
    errors.OrderDoesNotFit: Kind(
        name="order-does-not-fit", title="The order's money or stock does not fit", status=409
    ),
    errors.NothingToRedrive: Kind(
        name="nothing-to-redrive", title="There is nothing left to redrive", status=409
    ),
    errors.ServiceUnavailable: Kind(
        name="service-unavailable",
        title="A service that this needs does not answer",
        status=503,
        retry_after=5,
    ),
    errors.PaymentGatewayUnavailable: Kind(
        name="payment-gateway-unavailable",
        title="The payment gateway does not answer",
        status=503,
        retry_after=30,
    ),
    errors.InvalidWebhook: INVALID,
    errors.WebhookNotFound: Kind(
        name="webhook-not-found", title="No such webhook", status=404, example="You have no such webhook"
    ),
    errors.DeliveryNotFound: Kind(name="delivery-not-found", title="No such delivery", status=404),
    errors.WebhookLimitReached: Kind(
        name="webhook-limit-reached", title="There are as many webhooks as one user may have", status=409
    ),
    errors.WebhookDisabled: Kind(name="webhook-disabled", title="The webhook is disabled", status=409),
    errors.DatabaseUnavailable: Kind(
        name="temporarily-unavailable",
        title="The service is temporarily unavailable",
        status=503,
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
