"""The commands of an administrator of the catalogue: `product list`, `add`, `change` and `stock`."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any, Final, TypeVar
from uuid import uuid4

import typer

from tools.cli.api import connect, run
from tools.cli.commands import Commands, listing, working
from tools.cli.commands import show as show_result
from tools.client.orders_client import CatalogueClient, StockedProduct
from tools.console import money
from tools.errors import LocalCloudError

T = TypeVar("T")

app = Commands(
    name="product", help="The catalogue, as administrators see and change it.", no_args_is_help=True
)

_NUMBERS: Final = ("Price", "On sale", "Stocked", "Available", "Reserved", "Sold")
_COLUMNS: Final = {"Id": "productId", "Product": "name"} | dict(
    zip(_NUMBERS, ("price", "active", "stocked", "available", "reserved", "sold"), strict=True)
)

Which = Annotated[str, typer.Argument(metavar="PRODUCT", help="Id or beginning of the name.")]
Key = Annotated[str | None, typer.Option(help="Idempotency-Key; a new one unless given.")]


@app.command("list")
def show_all(
    low: Annotated[bool, typer.Option("--low", help="Only those with a low-stock alert.")] = False,
) -> None:
    """Show all products with their stock, also those that are not on sale."""
    show(_ask(lambda catalogue: catalogue.all_products(only_low=low)))


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What customers read.")],
    price: Annotated[
        int, typer.Option(help="In the currency's minor units: 1250 is 12.50 USD, 1,250 JPY or 1.250 KWD.")
    ],
    stock: Annotated[int, typer.Option(help="Units on hand.")] = 0,
    currency: Annotated[str, typer.Option(help="Its code in ISO 4217, e.g. USD.")] = "USD",
    key: Key = None,
) -> None:
    """Put a product on sale."""
    new_key = key or str(uuid4())
    show([_ask(lambda catalogue: catalogue.add(name, price, currency, stock, key=new_key))], one=True)


@app.command()
def change(
    product: Which,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    price: Annotated[int | None, typer.Option(help="Another price, in minor units, for new orders.")] = None,
    active: Annotated[
        bool | None, typer.Option("--on-sale/--off-sale", help="Whether it can be ordered.")
    ] = None,
) -> None:
    """Change a product; what is not given stays."""
    given = {"name": name, "unitPrice": price, "active": active}

    async def change_it(catalogue: CatalogueClient) -> StockedProduct:
        chosen = choose(await catalogue.all_products(), product)
        wanted = {field: value for field, value in given.items() if value is not None}
        return await catalogue.change(chosen.product_id, wanted)

    show([_ask(change_it)], one=True)


# `-3` is a number of units, and no option.
@app.command(context_settings={"ignore_unknown_options": True})
def stock(
    product: Which,
    delta: Annotated[int, typer.Argument(help="Units to add, or to take away: 5 or -3.")],
    reason: Annotated[str, typer.Option(help="Kept with the movement.")],
    key: Key = None,
) -> None:
    """Add units to a product, or take away units that are free."""

    async def adjust(catalogue: CatalogueClient) -> StockedProduct:
        chosen = choose(await catalogue.all_products(), product)
        return await catalogue.adjust(chosen.product_id, delta, reason, key=key or str(uuid4()))

    show([_ask(adjust)], one=True)


def choose(products: Sequence[StockedProduct], name: str) -> StockedProduct:
    """The product with this id, or the only one whose name begins so.

    Raises:
        LocalCloudError: there is none, or there are several: a change should not hit another one.
    """
    found = [
        product
        for product in products
        if str(product.product_id) == name or product.name.lower().startswith(name.lower())
    ]
    if len(found) != 1:
        names = "".join(f"\n  {product.product_id}  {product.name}" for product in found or products)
        number = "More than one product has" if found else "No product has"
        raise LocalCloudError(f"{number} the id {name!r} or a name that begins so. There are:{names}")
    return found[0]


def _ask(request: Callable[[CatalogueClient], Coroutine[Any, Any, T]]) -> T:
    async def connected() -> T:
        async with connect(CatalogueClient, None, default="admin") as catalogue:
            return await request(catalogue)

    with working("Waiting for the API"):
        return run(connected())


def show(products: Sequence[StockedProduct], *, one: bool = False) -> None:
    """Prints each with its stock."""
    documents = [product.model_dump(mode="json", by_alias=True) for product in products]
    shown = [
        document | {"price": money(product.unit_price, product.currency)}
        for document, product in zip(documents, products, strict=True)
    ]
    show_result(documents[0] if one else {"items": documents}, listing(shown, _COLUMNS, numbers=_NUMBERS))
