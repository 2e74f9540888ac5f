"""The requests and the responses of the catalogue's administration."""

from datetime import datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from orders.domain import MovementKind
from orders.fields import Currency, Text
from orders.http import ApiModel, ApiRequest, invalid_value

MAX_PRICE: Final = 1_000_000_000
"""Minor units. A full order of such products is far below what a `bigint`, or a number in JavaScript, holds."""
MAX_UNITS: Final = 1_000_000_000
DEFAULT_THRESHOLD: Final = 10


def _not_zero(delta: int) -> int:
    if delta == 0:
        raise invalid_value("This must not be 0")
    return delta


Price = Annotated[int, Field(ge=1, le=MAX_PRICE)]
Units = Annotated[int, Field(ge=0, le=MAX_UNITS)]
Delta = Annotated[
    int,
    Field(ge=-MAX_UNITS, le=MAX_UNITS, json_schema_extra={"not": {"const": 0}}),
    AfterValidator(_not_zero),
]

# A field that may be left out, but not be null: there is nothing that null could mean.
_LEFT_OUT: Final[Any] = None


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


class NewProduct(ApiRequest):
    """A product that is on sale from now on, with the units that there are of it."""

    name: Text = Field(examples=["Mechanical keyboard"])
    unit_price: Price = Field(description="Minor units of `currency`", examples=[12900])
    currency: Currency = Field(description="ISO 4217; it cannot be changed later", examples=["USD"])
    stock: Units = Field(description="Units on hand", examples=[100])
    low_stock_threshold: Units = Field(
        default=DEFAULT_THRESHOLD, description="An alert is raised when no more than this is available"
    )


class ProductChange(ApiRequest):
    """What is to be different; what is left out stays. Orders keep the prices they were placed at."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    name: Text = Field(
        default=_LEFT_OUT, examples=["Mechanical keyboard, quiet"], json_schema_extra=_without_default
    )
    unit_price: Price = Field(
        default=_LEFT_OUT, description="Minor units", json_schema_extra=_without_default
    )
    active: bool = Field(
        default=_LEFT_OUT, description="Whether it is on sale", json_schema_extra=_without_default
    )
    low_stock_threshold: Units = Field(default=_LEFT_OUT, json_schema_extra=_without_default)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise invalid_value("At least one field must be given")
        return self


class NewAdjustment(ApiRequest):
    """Units that came or went without an order: a delivery, a count, a loss."""

    delta: Delta = Field(description="Units to add, or to take away if negative; not 0", examples=[-3])
    reason: Text = Field(description="Kept with the movement", examples=["Damaged in the warehouse"])


class StockedProduct(ApiModel):
    """A product with its stock: available + reserved + sold = stocked."""

    product_id: UUID
    name: str
    unit_price: int = Field(description="Minor units of `currency`")
    currency: str
    active: bool = Field(description="Whether it is on sale")
    stocked: int = Field(description="All units that ever came, less those that were taken out")
    available: int = Field(description="Units that can be ordered now")
    reserved: int = Field(description="Units held back for orders under way")
    sold: int
    low_stock_threshold: int = Field(description="An alert is raised when no more than this is available")
    created_at: datetime
    updated_at: datetime = Field(description="Of the product itself, whatever its stock does")


class StockedProductList(ApiModel):
    """All products, also those that are not on sale, oldest first."""

    items: list[StockedProduct]
    next_cursor: str | None = Field(description="Gives the next page; null on the last one")


class StockMovement(ApiModel):
    """One change of a product's stock."""

    movement_id: int
    kind: MovementKind
    quantity: int = Field(description="Units moved; negative only if an adjustment took them away")
    order_id: UUID | None = Field(description="The order that they were moved for")
    refund_id: UUID | None = Field(description="The refund that they came back with")
    actor: str | None = Field(description="The administrator who moved them: the user's id")
    reason: str | None = Field(description="The administrator's")
    created_at: datetime


class StockMovementList(ApiModel):
    """A product's movements, newest first."""

    items: list[StockMovement]
    next_cursor: str | None = Field(description="Gives the next page; null on the last one")


class StockAdjustment(ApiModel):
    """What was recorded, and the product as it is now."""

    movement: StockMovement
    product: StockedProduct
