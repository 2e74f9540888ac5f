"""The functions of the API, imported for what they declare."""

import importlib
import inspect
from collections.abc import Iterator
from typing import Any, cast

from aws_lambda_powertools.event_handler.api_gateway import Route as Declared

from infra.constructs.api import ROUTES
from infra.names import snake
from orders.http import Api
from orders.payments.settings import PaymentSettings
from orders.settings import FunctionSettings


def apis() -> Iterator[Api]:
    """The `api` of every function that serves a route, each route with its function's docstring.

    Only for a process of its own: the handlers it imports have no settings.
    """
    # The document says nothing of settings and payment providers, so it can be made where there are none.
    setattr(FunctionSettings, "from_environment", classmethod(_unset))  # noqa: B010
    setattr(PaymentSettings, "gateway", lambda settings, database: None)  # noqa: B010
    for function in dict.fromkeys(route.function for route in ROUTES):
        handler = importlib.import_module(f"functions.{snake(function)}.handler")
        api: Api = handler.api
        for route in _declared(api):
            _describe(route)
        yield api


def _unset(cls: type[FunctionSettings]) -> FunctionSettings:
    unset: dict[str, Any] = dict.fromkeys(cls.model_fields)
    return cls.model_construct(**unset)


def _declared(api: Api) -> list[Declared]:
    # Powertools has no public way to them.
    return [*api._static_routes, *api._dynamic_routes]


def _describe(route: Declared) -> None:
    """A route's id is its function's name, its description the docstring, its summary the docstring's beginning."""
    function = cast(Any, route.func)
    said = inspect.getdoc(function)
    if said is None:
        raise ValueError(
            f"{function.__module__}.{function.__name__} has no docstring: it describes its route"
        )
    first, *others = function.__name__.split("_")
    route.operation_id = first + "".join(word.capitalize() for word in others)
    route.description = " ".join(said.split())
    route.summary = _beginning(route.description)


def _beginning(description: str) -> str:
    """The first sentence, without the full stop; of one with a colon or a semicolon, what stands before it."""
    sentence = description.partition(". ")[0].rstrip(".")
    return min((sentence.partition(mark)[0] for mark in (";", ":")), key=len)
