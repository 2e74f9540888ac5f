"""What schemathesis cannot know of the API: which products there are, and which addresses take mail. Without it no
order would ever be accepted.

And how much time there is: of the borders of every field, which are some three thousand, a share is tried.
"""

import itertools
import os
import zlib
from typing import Any, Final

import schemathesis
from schemathesis.generation.meta import CoveragePhaseData

from tools.cloud import catalogue

ONE_IN: Final = int(os.environ["FUZZ_BORDERS_ONE_IN"])
"""The same ones in every run."""

_PRODUCTS = [
    str(product.id) for product in catalogue.PRODUCTS if product.active and product.available >= 1_000
]


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """An order that is right by its schema asks for what can be bought, and a search for an address that takes mail."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.operation.label == "GET /api/v1/admin/orders" and case.query and case.query.get("email"):
        case.query["email"] = "ada@example.com"
    if case.operation.label != "POST /api/v1/orders" or not isinstance(case.body, dict):
        return
    case.body["currency"] = catalogue.CURRENCY
    case.body["contact"]["email"] = "ada@example.com"
    products = itertools.cycle(_PRODUCTS)
    for item in case.body["items"]:
        item["productId"] = next(products)
        item["quantity"] = 1


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Whether there is time for a case."""
    if case.meta is None or not isinstance(case.meta.phase.data, CoveragePhaseData):
        return True
    border = case.meta.phase.data
    name = f"{case.operation.label} {border.parameter} {border.description}"
    return zlib.crc32(name.encode()) % ONE_IN == 0
