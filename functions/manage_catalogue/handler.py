"""Parses the routes of the catalogue's administration, makes one call, returns the response."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.manage_catalogue import models, products, stock, versions
from orders.contract import API_PREFIX
from orders.db import Database
from orders.errors import (
    IdempotencyKeyReused,
    InvalidCursor,
    ProductNotFound,
    StockNotFree,
    VersionOutdated,
    VersionRequired,
)
from orders.fields import IdempotencyKey
from orders.http import Api, json_response
from orders.idempotency import REPLAYED_HEADER, replay_header
from orders.observability import instrumented
from orders.openapi import responses
from orders.pages import DEFAULT_LIMIT, Cursor, Limit
from orders.settings import DatabaseSettings

settings = DatabaseSettings.from_environment()
database = Database.from_settings(settings)
api = Api()

PRODUCTS: Final = f"{API_PREFIX}/admin/products"
PRODUCT: Final = f"{PRODUCTS}/<product_id>"
Version = Annotated[
    str | None, Header(alias="If-Match", description="The `ETag` of the product that was seen")
]


@api.post(
    PRODUCTS,
    status_code=HTTPStatus.CREATED,
    responses=responses(
        HTTPStatus.CREATED, headers=["Location", REPLAYED_HEADER], errors=[IdempotencyKeyReused]
    ),
)
def post_product(
    product: Annotated[models.NewProduct, Body()], idempotency_key: IdempotencyKey
) -> Response[models.StockedProduct]:
    """Puts a product on sale. A repeated request finds the product that the first one made."""
    made = products.create_product(database, product, user_id=api.user_id, key=idempotency_key)
    location = {"Location": f"{PRODUCTS}/{made.product.product_id}"}
    return json_response(made.product, HTTPStatus.CREATED, location | replay_header(made.replayed))


@api.get(PRODUCTS, responses=responses(errors=[InvalidCursor]))
def get_all_products(
    low_stock: Annotated[
        bool, Query(alias="lowStock", description="Only products with a low-stock alert")
    ] = False,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> models.StockedProductList:
    """All products with their stock, also those that are not on sale; oldest first."""
    return products.list_products(database, only_low=low_stock, limit=limit, cursor=cursor)


@api.get(PRODUCT, responses=responses(headers=["ETag"], errors=[ProductNotFound]))
def get_stocked_product(product_id: str) -> Response[models.StockedProduct]:
    """One product with its stock. Its `ETag` is what a change of it has to bring as `If-Match`."""
    return _with_version(products.read_product(database, product_id))


@api.patch(PRODUCT, responses=responses(errors=[ProductNotFound, VersionOutdated, VersionRequired]))
def patch_product(
    product_id: str, change: Annotated[models.ProductChange, Body()], if_match: Version = None
) -> Response[models.StockedProduct]:
    """Changes a product, if nobody else has since it was seen. Orders keep the prices they were placed at."""
    return _with_version(products.change_product(database, product_id, change, if_match))


@api.post(
    f"{PRODUCT}/stock-adjustments",
    status_code=HTTPStatus.CREATED,
    responses=responses(
        HTTPStatus.CREATED,
        headers=[REPLAYED_HEADER],
        errors=[ProductNotFound, StockNotFree, IdempotencyKeyReused],
    ),
)
def post_stock_adjustment(
    product_id: str, adjustment: Annotated[models.NewAdjustment, Body()], idempotency_key: IdempotencyKey
) -> Response[models.StockAdjustment]:
    """Adds units, or takes away units that are free. A repeated request moves nothing again."""
    made = stock.adjust_stock(database, product_id, adjustment, user_id=api.user_id, key=idempotency_key)
    return json_response(made.adjustment, HTTPStatus.CREATED, replay_header(made.replayed))


@api.get(f"{PRODUCT}/movements", responses=responses(errors=[ProductNotFound, InvalidCursor]))
def get_movements(
    product_id: str, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> models.StockMovementList:
    """How a product's stock moved, by whom or for which order; newest first."""
    return stock.list_movements(database, product_id, limit=limit, cursor=cursor)


def _with_version(product: models.StockedProduct) -> Response[models.StockedProduct]:
    """`200` with the tag that the next change has to bring."""
    return json_response(product, headers={"ETag": versions.tag_of(product)})


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
