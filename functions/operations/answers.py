"""What the routes of operations answer beyond what their signatures tell, for the API's document."""

from http import HTTPStatus
from typing import Final

from orders import problem
from orders.errors import (
    EventNotFound,
    InvalidCursor,
    MessageNotFound,
    NothingToRedrive,
    OrderDoesNotFit,
    OrderNotFound,
    OrderNotInReview,
    PaymentGatewayUnavailable,
    QueueNotFound,
    ServiceUnavailable,
)
from orders.openapi import problems, responses

_SERVICES: Final = problems([problem.kind_for(ServiceUnavailable)])
_ALL_SERVICES: Final = problems(
    [problem.kind_for(ServiceUnavailable), problem.kind_for(PaymentGatewayUnavailable)]
)

QUEUES: Final = responses() | _SERVICES
MESSAGES: Final = responses(refusals=[QueueNotFound]) | _SERVICES
REDRIVEN: Final = responses(refusals=[QueueNotFound, MessageNotFound, NothingToRedrive]) | _SERVICES
DISCARDED: Final = responses(refusals=[QueueNotFound, MessageNotFound]) | _SERVICES
EVENTS: Final = responses(refusals=[InvalidCursor])
EVENT_REDRIVEN: Final = responses(refusals=[EventNotFound, NothingToRedrive])

ORDERS: Final = responses(refusals=[InvalidCursor])
ORDER: Final = responses(refusals=[OrderNotFound]) | _SERVICES
RESUMED: Final = responses(HTTPStatus.ACCEPTED, refusals=[OrderNotFound, OrderNotInReview]) | _SERVICES
CLOSED: Final = responses(refusals=[OrderNotFound, OrderNotInReview, OrderDoesNotFit]) | _ALL_SERVICES
EXECUTIONS: Final = responses(refusals=[OrderNotFound, InvalidCursor]) | _SERVICES
HEALTH: Final = responses()
