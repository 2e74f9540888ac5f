"""The answers of the read routes: for how long they are good, and how a client learns that they still are."""

from http import HTTPStatus
from typing import Final, TypeVar

from aws_lambda_powertools.event_handler import Response, content_types

from functions.read_orders.models import OrderProgress
from orders.conditional import etag
from orders.errors import InvalidCursor, OrderNotFound, ProductNotFound
from orders.http import ApiModel
from orders.openapi import answers

Body = TypeVar("Body", bound=ApiModel)

POLL_SECONDS: Final = 1
"""What `Retry-After` asks of a client that waits for an order to end."""
CATALOGUE_SECONDS: Final = 5
"""How old what a shop window shows may be. Prices and stock are checked when an order is placed (ADR 0016)."""

_PRIVATE: Final = "private, no-cache"
"""May be kept by its owner's browser, and is asked about each time."""
_PUBLIC: Final = f"public, max-age={CATALOGUE_SECONDS}, must-revalidate"
"""May be kept by anybody between here and there, and is not to be shown a second longer."""

_CONDITIONAL: Final = ("ETag", "Cache-Control")
ORDER_LIST: Final = answers(headers=_CONDITIONAL, refusals=[InvalidCursor])
ORDER: Final = answers(headers=_CONDITIONAL, refusals=[OrderNotFound])
NOTIFICATIONS: Final = answers(headers=_CONDITIONAL, refusals=[OrderNotFound])
PROGRESS: Final = answers(headers=[*_CONDITIONAL, "Retry-After"], refusals=[OrderNotFound])
PRODUCT_LIST: Final = answers(headers=_CONDITIONAL, refusals=[InvalidCursor])
PRODUCT: Final = answers(headers=_CONDITIONAL, refusals=[ProductNotFound])


def for_owner(found: Body) -> Response[Body]:
    """An answer that is nobody else's."""
    return _answer(found, {"ETag": etag(found), "Cache-Control": _PRIVATE})


def while_waiting(found: OrderProgress) -> Response[OrderProgress]:
    """The same, asking to come back until there is nothing more to come."""
    coming_back = {} if found.status.is_terminal else {"Retry-After": str(POLL_SECONDS)}
    return _answer(found, {"ETag": etag(found), "Cache-Control": _PRIVATE, **coming_back})


def for_anybody(found: Body) -> Response[Body]:
    """An answer that is the same for all."""
    return _answer(found, {"ETag": etag(found), "Cache-Control": _PUBLIC})


def _answer(found: Body, headers: dict[str, str]) -> Response[Body]:
    return Response(
        status_code=HTTPStatus.OK,
        content_type=content_types.APPLICATION_JSON,
        headers={**headers},
        body=found,
    )
