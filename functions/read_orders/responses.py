"""The responses of the read routes, and what the API's document says of them: how long a response is good, and how a
client learns that it still is."""

from typing import Final

from aws_lambda_powertools.event_handler import Response

from functions.read_orders.models import OrderProgress
from orders.conditional import etag
from orders.errors import InvalidCursor, OrderNotFound, ProductNotFound
from orders.http import Body, json_response
from orders.openapi import responses

POLL_SECONDS: Final = 1
"""What `Retry-After` asks of a client that waits for an order to end."""
CATALOGUE_SECONDS: Final = 5
"""How old what a shop window shows may be. Prices and stock are checked when an order is placed (ADR 0016)."""

_PRIVATE: Final = "private, no-cache"
"""May be kept by its owner's browser, and is asked about each time."""
_PUBLIC: Final = f"public, max-age={CATALOGUE_SECONDS}, must-revalidate"
"""May be kept by anybody between here and there, and is not to be shown a second longer."""

_CONDITIONAL: Final = ("ETag", "Cache-Control")
ORDER_LIST: Final = responses(headers=_CONDITIONAL, errors=[InvalidCursor])
ORDER: Final = responses(headers=_CONDITIONAL, errors=[OrderNotFound])
NOTIFICATIONS: Final = responses(headers=_CONDITIONAL, errors=[OrderNotFound])
PROGRESS: Final = responses(headers=[*_CONDITIONAL, "Retry-After"], errors=[OrderNotFound])
PRODUCT_LIST: Final = responses(headers=_CONDITIONAL, errors=[InvalidCursor])
PRODUCT: Final = responses(headers=_CONDITIONAL, errors=[ProductNotFound])


def for_owner(found: Body) -> Response[Body]:
    """A response for the order's owner alone."""
    return json_response(found, headers={"ETag": etag(found), "Cache-Control": _PRIVATE})


def while_waiting(found: OrderProgress) -> Response[OrderProgress]:
    """The same, asking to come back until there is nothing more to come."""
    coming_back = {} if found.status.is_terminal else {"Retry-After": str(POLL_SECONDS)}
    return json_response(found, headers={"ETag": etag(found), "Cache-Control": _PRIVATE, **coming_back})


def for_anybody(found: Body) -> Response[Body]:
    """A response that is the same for everybody."""
    return json_response(found, headers={"ETag": etag(found), "Cache-Control": _PUBLIC})
