from uuid import UUID

import pytest
import typer

from tools.cli.orders import lines_of
from tools.client.orders_client import Product
from tools.errors import LocalCloudError

KEYBOARD = Product(
    product_id=UUID("01900000-0000-7000-8000-000000000001"),
    name="Mechanical keyboard",
    unit_price=12_900,
    currency="USD",
    available=10,
    active=True,
)
MOUSE = KEYBOARD.model_copy(
    update={"product_id": UUID("01900000-0000-7000-8000-000000000002"), "name": "Wireless mouse"}
)
CATALOGUE = [KEYBOARD, MOUSE]


@pytest.mark.parametrize(
    ("names", "quantities", "lines"),
    [
        ([], [], [(KEYBOARD, 1)]),
        ([], [3], [(KEYBOARD, 3)]),
        (["wire"], [], [(MOUSE, 1)]),
        (["Wireless mouse", "mech"], [2], [(MOUSE, 2), (KEYBOARD, 1)]),
        ([str(MOUSE.product_id), "mech"], [2, 5], [(MOUSE, 2), (KEYBOARD, 5)]),
    ],
)
def test_products_and_quantities_pair_up_in_their_order(
    names: list[str], quantities: list[int], lines: list[tuple[Product, int]]
) -> None:
    assert lines_of(CATALOGUE, names, quantities) == lines


@pytest.mark.parametrize(("names", "quantities"), [([], [1, 2]), (["mech"], [1, 2])])
def test_a_quantity_without_a_product_is_refused(names: list[str], quantities: list[int]) -> None:
    with pytest.raises(typer.BadParameter):
        lines_of(CATALOGUE, names, quantities)


def test_an_unknown_product_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(LocalCloudError, match=r"'monitor'(.|\n)*Mechanical keyboard\n  Wireless mouse"):
        lines_of(CATALOGUE, ["monitor"], [])
