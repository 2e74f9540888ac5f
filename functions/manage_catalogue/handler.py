"""Parses the routes of the catalogue's administration, makes one call, returns the response."""

from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Header
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.manage_catalogue import models, products, responses, stock
from functions.manage_catalogue.settings import Settings
from orders.db import Database
from orders.fields import IdempotencyKey
from orders.http import Api
from orders.observability import instrumented
from orders.pages import DEFAULT_LIMIT, Cursor, Limit

settings = Settings.from_environment()
database = Database.from_settings(settings)
api = Api()

Version = Annotated[
    str | None, Header(alias="If-Match", description="The `ETag` of the product that was seen")
]


@api.post(responses.PRODUCTS, status_code=HTTPStatus.CREATED, responses=responses.CREATED)
def post_product(
    product: Annotated[models.NewProduct, Body()], idempotency_key: IdempotencyKey
) -> Response[models.StockedProduct]:
    """Puts a product on sale. A repeated request finds the product that the first one made."""
    return responses.created(
        products.create_product(database, product, user_id=api.user_id, key=idempotency_key)
    )


@api.get(responses.PRODUCTS, responses=responses.LIST)
def get_all_products(limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> models.StockedProductList:
    """All products with their stock, also those that are not on sale; oldest first."""
    return products.list_products(database, limit=limit, cursor=cursor)


@api.get(responses.PRODUCT, responses=responses.FOUND)
def get_stocked_product(product_id: str) -> Response[models.StockedProduct]:
    """One product with its stock. Its `ETag` is what a change of it has to bring as `If-Match`."""
    return responses.with_version(products.read_product(database, product_id))


@api.patch(responses.PRODUCT, responses=responses.CHANGED)
def patch_product(
    product_id: str, change: Annotated[models.ProductChange, Body()], if_match: Version = None
) -> Response[models.StockedProduct]:
    """Changes a product, if nobody else has since it was seen. Orders keep the prices they were placed at."""
    return responses.with_version(products.change_product(database, product_id, change, if_match))


@api.post(
    f"{responses.PRODUCT}/stock-adjustments", status_code=HTTPStatus.CREATED, responses=responses.ADJUSTED
)
def post_stock_adjustment(
    product_id: str, adjustment: Annotated[models.NewAdjustment, Body()], idempotency_key: IdempotencyKey
) -> Response[models.StockAdjustment]:
    """Adds units, or takes away units that are free. A repeated request moves nothing again."""
    return responses.adjusted(
        stock.adjust_stock(database, product_id, adjustment, user_id=api.user_id, key=idempotency_key)
    )


@api.get(f"{responses.PRODUCT}/movements", responses=responses.MOVEMENTS)
def get_movements(
    product_id: str, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> models.StockMovementList:
    """How a product's stock moved, by whom or for which order; newest first."""
    return stock.list_movements(database, product_id, limit=limit, cursor=cursor)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
