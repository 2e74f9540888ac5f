"""The names one thing has in the places it appears: `VerifyStock`, `verify_stock`, `verify-stock`."""

import re

_WORD = re.compile(r"[A-Z][a-z0-9]*")


def snake(pascal: str) -> str:
    """The Python name: `VerifyStock` is `verify_stock`."""
    return "_".join(_WORD.findall(pascal)).lower()


def kebab(pascal: str) -> str:
    """The AWS name: `VerifyStock` is `verify-stock`."""
    return "-".join(_WORD.findall(pascal)).lower()


def pascal(kebab_name: str) -> str:
    """The construct id: `order-processing` is `OrderProcessing`."""
    return "".join(word.capitalize() for word in kebab_name.split("-"))
