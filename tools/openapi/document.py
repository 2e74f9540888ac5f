"""The document: what the functions declare, merged by Powertools, and completed by what is true of every route."""

import importlib
import inspect
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from aws_lambda_powertools.event_handler.api_gateway import Route as Declared
from aws_lambda_powertools.event_handler.openapi.merge import OpenAPIMerge

from infra.constructs.api import DOCUMENTED, Route
from infra.names import snake
from orders.contract import API_PREFIX
from orders.events import Queue
from orders.http import Api
from orders.money import CURRENCIES
from orders.payments.settings import PaymentSettings
from orders.problem import Problem
from orders.settings import FunctionSettings
from tools.openapi import common
from tools.openapi.examples import EXAMPLES
from tools.openapi.schemas import example, tidy
from tools.openapi.webhooks import webhook_schemas, webhooks

ROOT: Final = Path(__file__).resolve().parents[2]
TARGET: Final = ROOT / "functions" / "api_docs" / "openapi.json"
"""Beside the function that serves it, and nowhere else."""

_DESCRIPTION: Final = """
Accepts orders at once and processes them in the background; poll an order's status, or register a webhook.

* **Money** is a whole number of minor units beside its ISO 4217 currency. **Times** are UTC, RFC 3339. **Ids** are
  UUIDs.
* **Errors** are problem details (RFC 9457): `type` tells what happened, `errors` names the fields, `correlationId`
  finds the logs. What API Gateway itself refuses is `{"message": …}`. Fields and parameters that are not known are
  refused by name.
* **Repeat safely.** A `POST` with an `Idempotency-Key` may be sent again: it is done once, and answered alike.
* **Lists** are pages: send `nextCursor` as `cursor` until it is `null`.
* **Responses may gain fields**; requests with unknown fields are refused. Every `GET` takes `HEAD` as well.
* **Bodies** may be compressed: `Content-Encoding: gzip` or `deflate`.
""".strip()

# Relative to where the document is served, so that it is right at every stage's address.
_SERVER: Final = {"url": "../..", "description": "Where this document comes from"}

_CURRENCY: Final = {
    "type": "string",
    "enum": sorted(CURRENCIES),
    "description": "ISO 4217. Amounts beside it are whole numbers of its minor units",
}
_IN_EVERY_LOCAL_CLOUD: Final = {
    "productId": EXAMPLES["productId"],
    "queue": Queue.ORDER_PROCESSING.value,
    "asset": "start.js",
}
"""Path variables that have an example: "Try it out" finds it. Orders, webhooks, recipients and accounts are their
owners' own."""

_REFERENCE: Final = "#/components/schemas/{model}"
_MADE_BY_POWERTOOLS: Final = frozenset({"HTTPValidationError", "ResponseValidationError", "ValidationError"})


def document() -> dict[str, Any]:
    """OpenAPI 3.1 as JSON data.

    Raises:
        ValueError: what the functions declare does not fit together, or not to the routes of the CDK app.
    """
    declared = _merge()
    schemas = _schemas(declared["components"]["schemas"] | webhook_schemas(_REFERENCE))
    paths: dict[str, dict[str, Any]] = {}
    for route, operation in _by_route(declared["paths"]):
        methods = paths.setdefault(f"{API_PREFIX}{route.path}", {})
        methods[route.method.value.lower()] = _complete(route, operation, schemas)
    return {
        "openapi": declared["openapi"],
        "info": declared["info"],
        "servers": [_SERVER],
        "tags": [{"name": name, "description": said} for name, said in _used_tags(paths)],
        "paths": paths,
        "webhooks": webhooks(schemas),
        "components": common.COMPONENTS | {"schemas": dict(sorted(schemas.items()))},
    }


def as_text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _merge() -> dict[str, Any]:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    merge = OpenAPIMerge(
        title="Order pipeline", version=version, description=_DESCRIPTION, on_conflict="error"
    )
    known: dict[str, Any] = {}
    for api in apis():
        schema = api.get_openapi_schema().model_dump(mode="json", by_alias=True, exclude_none=True)
        _refuse_two_of_one_name(known, schema["components"]["schemas"])
        merge.add_schema(schema)
    return merge.get_openapi_schema()


def _refuse_two_of_one_name(known: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """Powertools would keep the last, and both functions would seem to serve it."""
    for name, schema in schemas.items():
        if known.setdefault(name, schema) != schema:
            raise ValueError(f"Two functions have different models of one name: rename one {name}")


def _schemas(declared: Mapping[str, Any]) -> dict[str, Any]:
    problem = Problem.model_json_schema(ref_template=_REFERENCE, mode="serialization")
    parts = problem.pop("$defs")
    own = {name: schema for name, schema in declared.items() if name not in _MADE_BY_POWERTOOLS}
    schemas = own | parts | {Problem.__name__: problem} | common.COMPONENTS["schemas"]
    return {name: _with_currency(tidy(schema)) for name, schema in schemas.items()} | {"Currency": _CURRENCY}


def _with_currency(schema: dict[str, Any]) -> dict[str, Any]:
    """With one type for every currency: what a client reads of a product is what it sends in an order."""
    if "currency" in schema.get("properties", {}):
        schema["properties"]["currency"] = {"$ref": _REFERENCE.format(model="Currency")}
    return schema


def _by_route(paths: Mapping[str, Any]) -> Iterable[tuple[Route, dict[str, Any]]]:
    """The declared operations in the order of the CDK app's routes, path variables in its spelling."""
    declared = {
        (method.upper(), _camel_variables(path)): operation
        for path, methods in paths.items()
        for method, operation in methods.items()
    }
    for route in DOCUMENTED:
        key = (route.method.value, f"{API_PREFIX}{route.path}")
        if key not in declared:
            raise ValueError(f"{route.function} declares no route {' '.join(key)}")
        yield route, declared.pop(key)
    if declared:
        raise ValueError(f"Missing in infra.constructs.api.ROUTES: {sorted(declared)}")


def _complete(
    route: Route, operation: Mapping[str, Any], schemas: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    parameters = [_parameter(parameter) for parameter in operation.get("parameters", [])]
    own = {
        status: response
        for status, response in operation["responses"].items()
        if not _is_powertools(response)
    }
    has_etag = any("ETag" in response.get("headers", {}) for response in own.values())
    shared = [common.CORRELATION_COMPONENT, *(["IfNoneMatch"] if has_etag else [])]
    body = operation.get("requestBody")
    responses = common.all_responses(route, own)
    completed = {
        "operationId": common.operation_id(route, operation["operationId"]),
        "summary": operation["summary"],
        "description": common.description(route, operation["description"]),
        "tags": [common.tag(route)],
        "security": common.security(route),
        "parameters": [*parameters, *({"$ref": f"#/components/parameters/{name}"} for name in shared)],
    }
    if body is not None:
        completed["requestBody"] = body | {"content": _with_examples(body["content"], schemas)}
    completed["responses"] = {
        status: response
        | {"content": _with_examples(response["content"], schemas, EXAMPLES.get(_name(route)))}
        if "content" in response
        else response
        for status, response in responses.items()
    }
    return completed


def _with_examples(
    content: Mapping[str, Any], schemas: Mapping[str, Any], known: Any = None
) -> dict[str, Any]:
    return {
        media_type: {"schema": tidy(said["schema"])}
        | (
            {"examples": said["examples"]}
            if "examples" in said
            else {"example": example(said["schema"], schemas) if known is None else known}
        )
        for media_type, said in content.items()
    }


def _name(route: Route) -> str:
    return f"{route.method.value} {route.path}"


def _is_powertools(response: Mapping[str, Any]) -> bool:
    """Whether Powertools put it there, for errors that `orders.http` reports otherwise."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return schema.get("$ref", "").rpartition("/")[2] in _MADE_BY_POWERTOOLS


def _parameter(declared: Mapping[str, Any]) -> dict[str, Any]:
    parameter = {
        "name": declared["name"],
        "in": declared["in"],
        "required": declared["required"],
        **declared,
        "schema": tidy(declared["schema"]),
    }
    match declared["in"]:
        case "path":
            parameter["name"] = _camel(declared["name"])
            if parameter["name"].endswith("Id") and "description" not in declared:
                # What is no UUID is not found either, so the functions take any text.
                parameter["schema"] = {"type": "string", "format": "uuid"}
        case "header":
            # Powertools writes them in lower case.
            parameter["name"] = declared["name"].title()
    if known := parameter["schema"].get("examples"):
        parameter["example"] = known[0]
    elif parameter["in"] == "path" and parameter["name"] in _IN_EVERY_LOCAL_CLOUD:
        parameter["example"] = _IN_EVERY_LOCAL_CLOUD[parameter["name"]]
    return parameter


def _camel_variables(path: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: "{" + _camel(found[1]) + "}", path)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _used_tags(paths: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    used = {tag for methods in paths.values() for operation in methods.values() for tag in operation["tags"]}
    return [(name, said) for name, said in common.TAGS.values() if name in used]


def apis() -> Iterator[Api]:
    """The `api` of every function that serves a route, each route with its function's docstring.

    Only for a process of its own: the handlers it imports have no settings.
    """
    # The document says nothing of settings and payment providers, so it can be made where there are none.
    setattr(FunctionSettings, "from_environment", classmethod(_unset))  # noqa: B010
    setattr(PaymentSettings, "gateway", lambda settings, database: None)  # noqa: B010
    for function in dict.fromkeys(route.function for route in DOCUMENTED):
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
