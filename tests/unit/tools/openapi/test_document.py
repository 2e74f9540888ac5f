"""The API's document: it is what the functions declare, and it tells everything that a client needs."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from functions.deliver_webhooks.webhook_request import body_of, headers_of
from infra.constructs.api import DOCUMENTED, Route
from orders import errors, problem
from orders.contract import API_PREFIX
from orders.domain import FailureReason
from orders.events import SOURCE, CloudEvent, OrderEnded
from orders.money import CURRENCIES
from orders.observability import CORRELATION_HEADER
from tools.cloud.catalogue import CURRENCY, PRODUCTS
from tools.openapi.document import ROOT, TARGET
from tools.openapi.schemas import example, tidy

DOCUMENT = json.loads(TARGET.read_text())
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
ROUTE_BY_OPERATION = {f"{route.method.value} {API_PREFIX}{route.path}": route for route in DOCUMENTED}

REGISTRY: Registry[Any] = Registry().with_resource(
    "urn:document", Resource.from_contents(DOCUMENT, default_specification=DRAFT202012)
)


def validate(value: Any, schema: dict[str, Any]) -> None:
    located = json.loads(json.dumps(schema).replace('"#/components', '"urn:document#/components'))
    Draft202012Validator(located, registry=REGISTRY).validate(value)


def examples(content: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Each example with its schema."""
    for said in content.values():
        if "example" in said:
            yield said["example"], said["schema"]
        for named in said.get("examples", {}).values():
            yield named["value"], said["schema"]


def test_the_committed_document_is_what_the_functions_declare() -> None:
    # In a process of its own: the functions are imported without their settings there.
    done = subprocess.run(
        [sys.executable, "-m", "tools.openapi", "--check"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_it_has_every_route_of_the_app_and_no_other() -> None:
    assert set(OPERATIONS) == set(ROUTE_BY_OPERATION)


def test_it_is_openapi_3_1() -> None:
    assert re.fullmatch(r"3\.1\.\d", DOCUMENT["openapi"])
    assert DOCUMENT["info"]["description"]


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', TARGET.read_text()))
    assert references
    for reference in references:
        place = DOCUMENT
        for step in reference.split("/"):
            place = place[step]


def test_ids_of_operations_are_unique() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_says_what_it_does_under_a_heading_of_the_document(name: str) -> None:
    operation = OPERATIONS[name]
    headings = {tag["name"] for tag in DOCUMENT["tags"]}

    assert re.fullmatch(r"[a-z][A-Za-z]+", operation["operationId"])
    assert not operation["summary"].endswith(".")
    assert operation["description"].endswith(".")
    assert len(operation["tags"]) == 1
    assert set(operation["tags"]) <= headings


@pytest.mark.parametrize("name", OPERATIONS)
def test_who_may_call_an_operation_is_said(name: str) -> None:
    operation, route = OPERATIONS[name], ROUTE_BY_OPERATION[name]

    assert operation["security"] == ([] if route.is_open else [{"accessToken": []}])
    assert ({"401", "403"} <= set(operation["responses"])) is not route.is_open
    assert ("administrators-only" in named_problems(operation, "403")) is is_for_administrators(route)


def is_for_administrators(route: Route) -> bool:
    return route.path.startswith("/admin/") or route.path in {"/health/detailed", "/metrics"}


def named_problems(operation: dict[str, Any], status: str) -> set[str]:
    content = operation["responses"].get(status, {}).get("content", {})
    return set(content.get(problem.CONTENT_TYPE, {}).get("examples", {}))


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_example_is_one(name: str) -> None:
    operation = OPERATIONS[name]
    contents = [answer.get("content", {}) for answer in operation["responses"].values()]
    if "requestBody" in operation:
        contents.append(operation["requestBody"]["content"])
        assert list(examples(operation["requestBody"]["content"])), "a request body has an example"
    for content in contents:
        for value, schema in examples(content):
            validate(value, schema)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_of_ours_has_the_correlation_id(name: str) -> None:
    operation = OPERATIONS[name]
    assert {"$ref": "#/components/parameters/CorrelationId"} in operation["parameters"]
    for status, answer in operation["responses"].items():
        from_gateway_only = {"application/json"} == set(answer.get("content", {})) and status >= "400"
        assert (CORRELATION_HEADER in answer.get("headers", {})) is not from_gateway_only, status


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_the_gateway_answers_is_told_apart_from_our_problems(name: str) -> None:
    for status in ("429", "500", "503"):
        assert "application/json" in OPERATIONS[name]["responses"][status]["content"]


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name.split()[0] in {"POST", "PUT", "PATCH"}])
def test_a_body_can_be_refused_before_anybody_looks_at_its_fields(name: str) -> None:
    for error in (errors.MalformedRequest, errors.BodyTooLarge, errors.UnsupportedMediaType):
        kind = problem.kind_for(error)
        assert kind.name in named_problems(OPERATIONS[name], str(kind.status))


@pytest.mark.parametrize("name", [name for name in OPERATIONS if "Id}" in name])
def test_an_id_may_be_nobody_s(name: str) -> None:
    operation = OPERATIONS[name]
    variables = [parameter for parameter in operation["parameters"] if parameter.get("in") == "path"]

    assert {variable["name"] for variable in variables} == set(re.findall(r"{(\w+)}", name))
    assert named_problems(operation, "404"), "say which refusal it is: responses=responses(errors=[…])"


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_route_may_refuse_a_parameter(name: str) -> None:
    assert "invalid-request" in named_problems(OPERATIONS[name], "422")


@pytest.mark.parametrize(
    ("schema", "field", "rule"),
    [
        ("Contact", "email", {"format": "email", "maxLength": 254}),
        ("NewProduct", "currency", {"$ref": "#/components/schemas/Currency"}),
        ("PlaceOrder", "currency", {"$ref": "#/components/schemas/Currency"}),
        ("Product", "currency", {"$ref": "#/components/schemas/Currency"}),
        ("NewProduct", "name", {"minLength": 1, "maxLength": 200}),
    ],
)
def test_clients_are_told_what_a_field_may_hold(schema: str, field: str, rule: dict[str, Any]) -> None:
    assert rule.items() <= DOCUMENT["components"]["schemas"][schema]["properties"][field].items()


def test_a_currency_is_one_that_people_pay_with() -> None:
    assert DOCUMENT["components"]["schemas"]["Currency"]["enum"] == sorted(CURRENCIES)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_answer_with_an_entity_tag_may_be_asked_for_conditionally(name: str) -> None:
    operation = OPERATIONS[name]
    tagged = any("ETag" in answer.get("headers", {}) for answer in operation["responses"].values())
    assert ("304" in operation["responses"]) is tagged
    assert ({"$ref": "#/components/parameters/IfNoneMatch"} in operation["parameters"]) is tagged


def test_the_order_s_headers_and_problems_are_told() -> None:
    operation = OPERATIONS["POST /api/v1/orders"]

    assert {"Location", "Idempotency-Replayed"} <= set(operation["responses"]["202"]["headers"])
    assert named_problems(operation, "422") == {"invalid-request", "idempotency-key-reused"}
    assert named_problems(operation, "429") == {"too-many-orders"}
    assert "Retry-After" in operation["responses"]["429"]["headers"]
    (key,) = [header for header in operation["parameters"] if header.get("name") == "Idempotency-Key"]
    assert key["required"]


def test_a_schema_loses_the_titles_that_only_repeat_a_name() -> None:
    schema = {
        "title": "OrderLine",
        "properties": {"title": {"title": "Title", "type": "string", "examples": [{"title": "kept"}]}},
        "minimum": 1.0,
    }
    assert tidy(schema) == {
        "properties": {"title": {"type": "string", "examples": [{"title": "kept"}]}},
        "minimum": 1,
    }


def test_an_example_is_made_of_the_fields_examples() -> None:
    components = {"Line": {"type": "object", "properties": {"quantity": {"type": "integer", "minimum": 2}}}}
    schema = {
        "type": "object",
        "properties": {
            "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
            "email": {"type": "string", "pattern": "@", "examples": ["ada@example.com"]},
            "memo": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
    }
    made = example(schema, components)
    assert made == {"lines": [{"quantity": 2}], "email": "ada@example.com", "memo": "text"}


def test_a_field_with_a_pattern_must_bring_its_example() -> None:
    with pytest.raises(ValueError, match=r"\^pm_"):
        example({"type": "string", "pattern": "^pm_"}, {})


WEBHOOKS = {name: item["post"] for name, item in DOCUMENT["webhooks"].items()}
EXAMPLES = [
    (name, value)
    for name, operation in OPERATIONS.items()
    for content in (operation.get("requestBody", {}), *operation["responses"].values())
    for value, _ in examples(content.get("content", {}))
]


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """The value, if it is an object, and all objects in it."""
    if isinstance(value, dict):
        yield value
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(member)


@pytest.mark.parametrize(("name", "value"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_an_example_says_what_the_local_system_might(name: str, value: Any) -> None:
    catalogue = {str(product.id): product for product in PRODUCTS}
    for said in objects(value):
        assert "text" not in said.values(), "give the field an example in tools.openapi.examples"
        assert said.get("currency", CURRENCY) == CURRENCY
        if "productId" in said:
            product = catalogue[said["productId"]]
            assert product.active
            assert said.get("name", product.name) == product.name
            assert said.get("unitPrice", product.unit_price) == product.unit_price
        if {"stocked", "sold"} <= said.keys():
            assert said["available"] + said["reserved"] + said["sold"] == said["stocked"]
        if {"totalAmount", "items"} <= said.keys():
            lines = [(catalogue[line["productId"]], line["quantity"]) for line in said["items"]]
            assert said["totalAmount"] == sum(product.unit_price * quantity for product, quantity in lines)
        if "failureReason" in said:
            assert (said["failureReason"] is None) is (said["status"] not in {"CANCELLED", "NEEDS_REVIEW"})


def test_the_order_of_the_examples_is_one_order() -> None:
    said = {name.removeprefix(f"GET {API_PREFIX}"): value for name, value in EXAMPLES if "GET" in name}
    order = OPERATIONS["POST /api/v1/orders"]
    asked = order["requestBody"]["content"]["application/json"]["example"]
    accepted = order["responses"]["202"]["content"]["application/json"]["example"]
    found = OPERATIONS["GET /api/v1/orders/{orderId}"]["responses"]["200"]["content"]["application/json"][
        "example"
    ]

    assert said
    for field in ("orderId", "totalAmount", "currency", "createdAt"):
        assert accepted[field] == found[field]
    assert [{name: line[name] for name in ("productId", "quantity")} for line in found["items"]] == asked[
        "items"
    ]
    assert (accepted["status"], found["status"]) == ("PENDING", "CONFIRMED")


def reachable(node: Any) -> set[str]:
    """The components that a part of the document refers to, directly or not."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(waiting.pop())):
            if name not in found:
                found.add(name)
                waiting.append(DOCUMENT["components"]["schemas"][name])
    return found


def test_requests_are_closed_and_responses_may_gain_fields() -> None:
    """A client that is generated today reads the responses of tomorrow."""
    requests = reachable([operation.get("requestBody") for operation in OPERATIONS.values()])
    responses = reachable([operation["responses"] for operation in OPERATIONS.values()])
    webhooks = reachable(DOCUMENT["webhooks"])
    schemas = DOCUMENT["components"]["schemas"]

    for name in requests - responses:
        if schemas[name].get("type") == "object":
            assert schemas[name]["additionalProperties"] is False, name
    for name in responses | webhooks:
        assert "additionalProperties" not in schemas[name], name


IDEMPOTENT = [
    name for name, said in OPERATIONS.items() if "Idempotency-Key" in json.dumps(said["parameters"])
]


@pytest.mark.parametrize("name", IDEMPOTENT)
def test_an_idempotency_key_is_explained_and_has_an_example(name: str) -> None:
    (key,) = [said for said in OPERATIONS[name]["parameters"] if said.get("name") == "Idempotency-Key"]

    assert "takes effect once" in key["description"]
    assert key["schema"]["examples"] == [key["example"]]
    validate(key["example"], key["schema"])


def test_every_parameter_that_try_it_out_needs_on_the_local_cloud_is_there() -> None:
    """But for ids of what a user has made first, and addresses that have bounced."""
    own = {
        "orderId",
        "webhookId",
        "deliveryId",
        "eventId",
        "messageId",
        "recipientId",
        "refundId",
        "userId",
        "address",
    }
    for operation in OPERATIONS.values():
        for parameter in operation["parameters"]:
            if parameter.get("required") and parameter["name"] not in own:
                assert "example" in parameter, parameter["name"]
                validate(parameter["example"], parameter["schema"])


def test_signing_in_is_explained() -> None:
    said = DOCUMENT["components"]["securitySchemes"]["accessToken"]["description"]

    for word in ("InitiateAuth", "USER_PASSWORD_AUTH", "ClientId", "x-amz-json-1.1", "x-cognito"):
        assert word in said


@pytest.mark.parametrize("kind", OrderEnded.__subclasses__(), ids=lambda kind: kind.__name__)
def test_a_webhook_is_described_as_it_is_sent(kind: type[OrderEnded]) -> None:
    operation = WEBHOOKS[kind.__name__[0].lower() + kind.__name__[1:]]
    content = operation["requestBody"]["content"]["application/json"]
    told = content["example"]["data"]
    ended = kind(
        failure_reason=told["failureReason"] and FailureReason(told["failureReason"]),
        total_amount=told["totalAmount"],
        currency=told["currency"],
        created_at=datetime.fromisoformat(told["createdAt"]),
    )
    event = CloudEvent(
        id=UUID(content["example"]["id"]),
        source=SOURCE,
        type=kind.type,
        subject=UUID(content["example"]["subject"]),
        time=datetime.fromisoformat(content["example"]["time"]),
        data={},
        correlationid="0198f3a1-7c1c-7d21-a5b4-6c7d8e9f0a1b",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )

    sent = json.loads(body_of(event, ended))

    assert content["example"] == sent
    validate(sent, content["schema"])
    headers = headers_of(event.id, "{}", ["whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"], datetime.now(UTC))
    assert {parameter["name"] for parameter in operation["parameters"]} == {
        name for name in headers if name.startswith("webhook-")
    }
    for other in WEBHOOKS.values():
        if other is not operation:
            with pytest.raises(ValidationError):
                validate(sent, other["requestBody"]["content"]["application/json"]["schema"])
