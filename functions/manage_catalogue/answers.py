"""The answers of the catalogue's administration. Nobody keeps them: what an administrator sees is what there is."""

from http import HTTPStatus
from typing import Final

from aws_lambda_powertools.event_handler import Response, content_types

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
from orders.idempotency import REPLAYED_HEADER, replay_header
from orders.openapi import answers

PRODUCTS: Final = f"{API_PREFIX}/admin/products"
PRODUCT: Final = f"{PRODUCTS}/<product_id>"

LIST: Final = answers(refusals=[InvalidCursor])
MOVEMENTS: Final = answers(refusals=[ProductNotFound, InvalidCursor])
CREATED: Final = answers(
    HTTPStatus.CREATED,
    headers=["Location", REPLAYED_HEADER],
    refusals=[IdempotencyKeyReused],
)
ADJUSTED: Final = answers(
    HTTPStatus.CREATED,
    headers=[REPLAYED_HEADER],
    refusals=[ProductNotFound, StockNotFree, IdempotencyKeyReused],
)
FOUND: Final = answers(headers=["ETag"], refusals=[ProductNotFound])
CHANGED: Final = answers(refusals=[ProductNotFound, VersionOutdated, VersionRequired])


def created(new: Created) -> Response[StockedProduct]:
    """201 with the product's address."""
    return Response(
        status_code=HTTPStatus.CREATED,
        content_type=content_types.APPLICATION_JSON,
        headers={"Location": f"{PRODUCTS}/{new.product.product_id}", **replay_header(new.replayed)},
        body=new.product,
    )


def adjusted(adjusted: Adjusted) -> Response[StockAdjustment]:
    """201: the movement is a record of its own."""
    return Response(
        status_code=HTTPStatus.CREATED,
        content_type=content_types.APPLICATION_JSON,
        headers=replay_header(adjusted.replayed),
        body=adjusted.adjustment,
    )


def with_version(product: StockedProduct) -> Response[StockedProduct]:
    """200 with the tag that the next change has to bring."""
    return Response(
        status_code=HTTPStatus.OK,
        content_type=content_types.APPLICATION_JSON,
        headers={"ETag": tag_of(product), "Cache-Control": "no-store"},
        body=product,
    )
