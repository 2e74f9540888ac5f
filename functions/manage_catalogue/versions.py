"""Versions of a product: what `ETag` says, and what `If-Match` has to say.

A tag has two parts. The first stands for what a change can change, the second for all that is shown. A change asks for
the first one only: with the stock in it, every order would outdate every change.
"""

from typing import Final

from functions.manage_catalogue.models import ProductChange, StockedProduct
from orders.conditional import digest

_ANY: Final = "*"
_CHANGEABLE: Final = {"product_id", *ProductChange.model_fields}


def tag_of(product: StockedProduct) -> str:
    """A strong entity tag of all that is shown of the product."""
    return f'"{_terms(product)}.{digest(product.model_dump_json())}"'


def matches(if_match: str, product: StockedProduct) -> bool:
    """Whether one of the tags in `If-Match` is of this product as far as a change goes. Weak tags never match
    (RFC 9110, section 13.1.1)."""
    tags = [tag.strip() for tag in if_match.split(",")]
    return _ANY in tags or any(tag.startswith(f'"{_terms(product)}.') for tag in tags)


def _terms(product: StockedProduct) -> str:
    return digest(product.model_dump_json(include=_CHANGEABLE))
