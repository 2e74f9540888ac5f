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
from orders.openapi import answers, problems

_SERVICES: Final = problems([problem.kind_for(ServiceUnavailable)])
_ALL_SERVICES: Final = problems(
    [problem.kind_for(ServiceUnavailable), problem.kind_for(PaymentGatewayUnavailable)]
)

QUEUES: Final = answers() | _SERVICES
MESSAGES: Final = answers(refusals=[QueueNotFound]) | _SERVICES
REDRIVEN: Final = answers(refusals=[QueueNotFound, MessageNotFound, NothingToRedrive]) | _SERVICES
DISCARDED: Final = answers(refusals=[QueueNotFound, MessageNotFound]) | _SERVICES
EVENTS: Final = answers(refusals=[InvalidCursor])
EVENT_REDRIVEN: Final = answers(refusals=[EventNotFound, NothingToRedrive])

ORDERS: Final = answers(refusals=[InvalidCursor])
ORDER: Final = answers(refusals=[OrderNotFound]) | _SERVICES
RESUMED: Final = answers(HTTPStatus.ACCEPTED, refusals=[OrderNotFound, OrderNotInReview]) | _SERVICES
CLOSED: Final = answers(refusals=[OrderNotFound, OrderNotInReview, OrderDoesNotFit]) | _ALL_SERVICES
EXECUTIONS: Final = answers(refusals=[OrderNotFound, InvalidCursor]) | _SERVICES
HEALTH: Final = answers()
