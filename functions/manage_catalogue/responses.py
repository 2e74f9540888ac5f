"""The responses of the catalogue's administration, and what the API's document says of them. No cache keeps them: an
administrator sees what there is."""

from http import HTTPStatus
from typing import Final

from aws_lambda_powertools.event_handler import Response

from functions.manage_catalogue.models import StockAdjustment, StockedProduct
from functions.manage_catalogue.products import Created
from functions.manage_catalogue.stock import Adjusted
from functions.manage_catalogue.versions import tag_of
from orders.contract import API_PREFIX
from orders.errors import (
    IdempotencyKeyReused,
    InvalidCursor,
    ProductNotFound,
    StockNotFree,
    VersionOutdated,
    VersionRequired,
)
from orders.http import json_response
from orders.idempotency import REPLAYED_HEADER, replay_header
from orders.openapi import responses

PRODUCTS: Final = f"{API_PREFIX}/admin/products"
PRODUCT: Final = f"{PRODUCTS}/<product_id>"

LIST: Final = responses(errors=[InvalidCursor])
MOVEMENTS: Final = responses(errors=[ProductNotFound, InvalidCursor])
CREATED: Final = responses(
    HTTPStatus.CREATED,
    headers=["Location", REPLAYED_HEADER],
    errors=[IdempotencyKeyReused],
)
ADJUSTED: Final = responses(
    HTTPStatus.CREATED,
    headers=[REPLAYED_HEADER],
    errors=[ProductNotFound, StockNotFree, IdempotencyKeyReused],
)
FOUND: Final = responses(headers=["ETag"], errors=[ProductNotFound])
CHANGED: Final = responses(errors=[ProductNotFound, VersionOutdated, VersionRequired])


def created(new: Created) -> Response[StockedProduct]:
    """`201` with the product's address."""
    location = {"Location": f"{PRODUCTS}/{new.product.product_id}"}
    return json_response(new.product, HTTPStatus.CREATED, location | replay_header(new.replayed))


def adjusted(adjusted: Adjusted) -> Response[StockAdjustment]:
    """`201`: the movement is a record of its own."""
    return json_response(adjusted.adjustment, HTTPStatus.CREATED, replay_header(adjusted.replayed))


def with_version(product: StockedProduct) -> Response[StockedProduct]:
    """`200` with the tag that the next change has to bring."""
    return json_response(product, headers={"ETag": tag_of(product), "Cache-Control": "no-store"})
