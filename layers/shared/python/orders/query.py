"""Holds a request's query string against the parameters that its route declares: those only, each once, in one form.

A parameter that is ignored looks as if it had been obeyed: a list without its filter, or a customer who is not there.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, get_args
from urllib.parse import parse_qsl

from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.middlewares.openapi_validation import (
    OpenAPIRequestValidationMiddleware,
)
from aws_lambda_powertools.event_handler.openapi.compat import ModelField
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

# Pydantic would also read `1_0`, ` 10`, `+10`, `1e1` and digits of other scripts as 10, and `yes` as true.
_FORMS: Final = {
    int: ("int_parsing", re.compile(r"-?(0|[1-9][0-9]*)")),
    bool: ("bool_type", re.compile(r"true|false")),
}


class QueryValidation(OpenAPIRequestValidationMiddleware):
    """Powertools' validation of requests, after what it lets pass in the query string."""

    def handler(self, app: Any, next_middleware: NextMiddleware) -> Any:
        """Raises RequestValidationError, as that does, for all parameters that are wrong; unknown ones come first."""
        route = app.context["_route"]
        # Where there is no route, Powertools makes one whose rule even an empty path fits.
        has_route = not route.rule.match("")
        query = app.current_event.get("rawQueryString") or ""
        if has_route and (wrong := [*_errors(query, route.dependant.query_params)]):
            raise RequestValidationError(wrong)
        return super().handler(app, next_middleware)


def _errors(query: str, declared: Sequence[ModelField]) -> Iterator[dict[str, Any]]:
    """In pydantic's form."""
    parameters = {field.alias: field.field_info.annotation for field in declared}
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        given.setdefault(name, []).append(value)
    for name in sorted(given.keys() - parameters.keys()):
        yield {"type": "unknown_parameter", "loc": ("query", name)}
    for name in sorted(given.keys() & parameters.keys()):
        if error := _error(given[name], parameters[name]):
            yield {"type": error, "loc": ("query", name)}


def _error(values: Sequence[str], annotation: Any) -> str | None:
    match values:
        case [_, _, *_]:
            return "repeated_parameter"
        case [""]:
            return "empty_parameter"
    for kind, (error, form) in _FORMS.items():
        if kind in (annotation, *get_args(annotation)) and not form.fullmatch(values[0]):
            return error
    return None
