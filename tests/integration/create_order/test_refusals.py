"""Whatever a client sends wrong is answered by a problem that names it, and places nothing."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from orders.db import Database
from orders.request_body import MAX_BODY_BYTES
from tests.integration.create_order.orders_api import PATH, post
from tests.support.api import Answer, Client
from tests.support.factories import Product, add_product, order_body, rows
from tests.support.postgres import Server
from tools.http_event import http_event

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "correlationId"}
A_PRODUCT = "018f3f7e-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def database(postgres_server: Server) -> Iterator[Database]:
    """One for all tests here, since none of them may place anything."""
    with postgres_server.fresh_database() as credentials:
        database = Database(lambda: credentials)
        yield database
        database.engine.dispose()


@pytest.fixture(autouse=True)
def nothing_is_placed(database: Database) -> Iterator[None]:
    yield
    assert rows(
        database,
        "SELECT (SELECT count(*) FROM orders) AS orders, (SELECT count(*) FROM order_items) AS lines, "
        "(SELECT count(*) FROM outbox) AS events, (SELECT count(*) FROM idempotency_keys) AS keys",
    ) == [{"orders": 0, "lines": 0, "events": 0, "keys": 0}]


def assert_problem(answer: Answer, status: int, *pointers: str) -> None:
    assert answer.status == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert problem.keys() - {"errors"} == PROBLEM_MEMBERS
    assert problem["status"] == status
    assert problem["instance"] == PATH
    assert problem["correlationId"] == answer.headers["x-correlation-id"]
    assert answer.pointers == list(pointers)


def assert_speaks_plainly(answer: Answer) -> None:
    """No word of Python, pydantic or regular expressions."""
    for leak in (
        "pattern",
        "regex",
        "Input should",
        "dictionary",
        "instance of",
        "PlaceOrder",
        "validation",
        "^[",
    ):
        assert leak not in answer.text


def with_line(**changes: Any) -> dict[str, Any]:
    return order_body([], items=[{"productId": A_PRODUCT, "quantity": 1, **changes}])


def with_quantity(literal: str) -> str:
    """A body with a number that Python's own encoder would not write."""
    return json.dumps(with_line(quantity="?")).replace('"?"', literal)


def with_contact(**changes: Any) -> dict[str, Any]:
    return order_body([], items=with_line()["items"], contact={"email": "a@example.com", **changes})


def with_order(**changes: Any) -> dict[str, Any]:
    return {**with_line(), **changes}


def encoded_event(body: str) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid4().hex}
    return {**http_event("POST", PATH, headers=headers), "isBase64Encoded": True, "body": body}


def without(name: str) -> dict[str, Any]:
    body = with_line()
    del body[name]
    return body


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        # one of each kind
        pytest.param(with_line(quantity=0), "#/items/0/quantity", id="quantity 0"),
        pytest.param(with_line(quantity=-1), "#/items/0/quantity", id="quantity -1"),
        pytest.param(with_line(quantity=10**9), "#/items/0/quantity", id="quantity 1e9"),
        pytest.param(with_line(quantity="2"), "#/items/0/quantity", id='quantity "2"'),
        pytest.param(with_order(items=with_line()["items"] * 51), "#/items", id="51 lines"),
        pytest.param(with_order(coupon="FREE"), "#/coupon", id="unknown field"),
        # quantities
        pytest.param(with_line(quantity=101), "#/items/0/quantity", id="quantity 101"),
        pytest.param(with_line(quantity=1.0), "#/items/0/quantity", id="quantity 1.0"),
        pytest.param(with_line(quantity=True), "#/items/0/quantity", id="quantity true"),
        pytest.param(with_line(quantity=None), "#/items/0/quantity", id="quantity null"),
        pytest.param(with_line(quantity=[1]), "#/items/0/quantity", id="quantity [1]"),
        pytest.param(with_line(quantity=2**63), "#/items/0/quantity", id="quantity 2^63"),
        # products
        pytest.param(with_line(productId="coffee"), "#/items/0/productId", id="product no UUID"),
        pytest.param(with_line(productId=""), "#/items/0/productId", id="product empty"),
        pytest.param(with_line(productId=7), "#/items/0/productId", id="product a number"),
        pytest.param(with_line(productId="\ud800"), "#/items/0/productId", id="product a lone surrogate"),
        pytest.param(with_line(price=1), "#/items/0/price", id="a price of the client's own"),
        # lines
        pytest.param(with_order(items=[]), "#/items", id="no lines"),
        pytest.param(with_order(items=None), "#/items", id="lines null"),
        pytest.param(with_order(items={"0": {}}), "#/items", id="lines an object"),
        pytest.param(with_order(items=["coffee"]), "#/items/0", id="a line a string"),
        pytest.param(with_order(items=[None]), "#/items/0", id="a line null"),
        # the rest of the order
        pytest.param(without("items"), "#/items", id="items missing"),
        pytest.param(without("currency"), "#/currency", id="currency missing"),
        pytest.param(without("paymentMethod"), "#/paymentMethod", id="payment method missing"),
        pytest.param(without("contact"), "#/contact", id="contact missing"),
        pytest.param(with_order(currency="usd"), "#/currency", id="currency in lower case"),
        pytest.param(with_order(currency="YEN"), "#/currency", id="no currency's code"),
        pytest.param(with_order(currency="ZZZ"), "#/currency", id="nobody's code"),
        pytest.param(with_order(currency="XAU"), "#/currency", id="currency a metal"),
        pytest.param(with_order(currency="XTS"), "#/currency", id="currency for tests"),
        pytest.param(with_order(currency="US\0"), "#/currency", id="currency with NUL"),
        pytest.param(with_order(paymentMethod="4242424242424242"), "#/paymentMethod", id="a card number"),
        pytest.param(with_order(totalAmount=1), "#/totalAmount", id="a total of the client's own"),
        pytest.param(with_order(userId="bob"), "#/userId", id="a user of the client's own"),
        pytest.param(with_order(priority="urgent"), "#/priority", id="priority unknown"),
        pytest.param(with_order(priority=1), "#/priority", id="priority a number"),
        pytest.param(with_order(priority=None), "#/priority", id="priority null"),
        # contact
        pytest.param(with_contact(email="a..b@example.com"), "#/contact/email", id="e-mail with two dots"),
        pytest.param(with_contact(email=".a@example.com"), "#/contact/email", id="e-mail with a leading dot"),
        pytest.param(with_contact(email="a@localhost"), "#/contact/email", id="e-mail without a domain"),
        pytest.param(with_contact(email="a@[192.0.2.1]"), "#/contact/email", id="e-mail at an address"),
        pytest.param(with_contact(email="д@example.com"), "#/contact/email", id="e-mail beyond ASCII"),
        pytest.param(with_contact(email="nobody"), "#/contact/email", id="e-mail without @"),
        pytest.param(
            with_contact(email="a@example.com\nBcc: b@example.com"), "#/contact/email", id="e-mail injection"
        ),
        pytest.param(with_contact(email="a" * 65 + "@example.com"), "#/contact/email", id="e-mail too long"),
        pytest.param(with_contact(email="a\0@example.com"), "#/contact/email", id="e-mail with NUL"),
        pytest.param(with_contact(phone="600123456"), "#/contact/phone", id="telephone without +"),
        pytest.param(with_contact(locale="fr"), "#/contact/locale", id="language unknown"),
        pytest.param(with_contact(name="Alice"), "#/contact/name", id="unknown field of contact"),
        pytest.param(with_order(contact="a@example.com"), "#/contact", id="contact a string"),
        # names that need escaping: RFC 6901, then as a fragment of a URI
        pytest.param(
            with_order(**{"a/b~c d%": 1}), "#/a~1b~0c%20d%25", id="unknown field with odd characters"
        ),
    ],
)
def test_a_wrong_field_is_named(alice: Client, body: dict[str, Any], pointer: str) -> None:
    answer = post(alice, body)

    assert_problem(answer, 422, pointer)
    assert pointer in answer.json["detail"]
    assert_speaks_plainly(answer)


def test_a_field_has_one_name(alice: Client) -> None:
    body = without("paymentMethod") | {"payment_method": "pm_card_visa"}

    assert_problem(post(alice, body), 422, "#/paymentMethod", "#/payment_method")


def test_every_wrong_field_is_named_at_once(alice: Client) -> None:
    body = with_order(items=[{"productId": "x", "quantity": 0}], currency="dollars")

    assert_problem(post(alice, body), 422, "#/items/0/productId", "#/items/0/quantity", "#/currency")


def test_of_thousands_of_mistakes_the_first_are_named(alice: Client) -> None:
    answer = post(alice, with_order(**{f"x{number}": 0 for number in range(3000)}))

    assert_problem(answer, 422, *(f"#/x{number}" for number in range(20)))
    assert answer.json["detail"].endswith("and 2980 more")


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("k" * 256, id="too long"),
        pytest.param("two words", id="a space"),
        pytest.param("clé", id="not ASCII"),
        pytest.param("a\x00b", id="NUL"),
        pytest.param("a\r\nX-Admin: 1", id="a line break"),
    ],
)
def test_the_idempotency_key_is_required_and_bounded(alice: Client, key: str | None) -> None:
    """Trap T10: no key is made up from the cart and the date."""
    answer = alice.post(PATH, with_line(), {} if key is None else {"Idempotency-Key": key})

    assert_problem(answer, 422, "#/header/idempotency-key")
    assert_speaks_plainly(answer)


def test_an_unknown_product_is_named_by_its_line(alice: Client, product: Product) -> None:
    answer = post(alice, order_body([(product.product_id, 1), (uuid4(), 1), (uuid4(), 1)]))

    assert_problem(answer, 422, "#/items/1/productId", "#/items/2/productId")
    assert answer.json["errors"][0]["detail"] == "There is no such product"


def test_an_inactive_product_is_refused(alice: Client, database: Database) -> None:
    withdrawn = add_product(database, active=False)

    answer = post(alice, order_body([(withdrawn.product_id, 1)]))

    assert_problem(answer, 422, "#/items/0/productId")
    assert answer.json["errors"][0]["detail"] == "This product is not on sale"


def test_a_product_in_another_currency_is_refused(alice: Client, product: Product) -> None:
    answer = post(alice, order_body([(product.product_id, 1)], currency="EUR"))

    assert_problem(answer, 422, "#/items/0/productId")
    assert answer.json["errors"][0]["detail"] == "This product is priced in USD"


def test_the_bound_on_a_quantity_holds_for_the_lines_of_one_product_together(
    alice: Client, product: Product
) -> None:
    answer = post(alice, order_body([(product.product_id, 60), (product.product_id, 41)]))

    assert_problem(answer, 422, "#/items/1/quantity")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("not JSON", id="not JSON"),
        pytest.param("{'items': []}", id="single quotes"),
        pytest.param('{"items": [', id="cut off"),
        pytest.param(json.dumps(with_line()) + "}", id="trailing garbage"),
        pytest.param("\ufeff" + json.dumps(with_line()), id="a byte order mark"),
        pytest.param("[" * 50_000, id="nested without end"),
        pytest.param('{"a":' * 10_000 + "1" + "}" * 10_000, id="nested deeply, well-formed"),
        pytest.param(json.dumps(with_line(quantity=float("nan"))), id="NaN"),
        pytest.param(json.dumps(with_line(quantity=float("inf"))), id="Infinity"),
        pytest.param('{"currency":"USD","currency":"EUR"}', id="a name twice"),
        pytest.param('{"items":[{"quantity":1,"quantity":100}]}', id="a name twice, deeper"),
        pytest.param("null", id="null"),
        pytest.param("17", id="a number"),
        pytest.param('"order"', id="a string"),
        pytest.param("[]", id="an empty list"),
        pytest.param(json.dumps([with_line()]), id="an order in a list"),
        pytest.param(" \n", id="white space"),
        pytest.param(b"\xff\xfe{}", id="not UTF-8"),
        pytest.param(json.dumps(with_line()).encode("utf-16"), id="UTF-16"),
        pytest.param("\ud800", id="a lone surrogate"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused_as_a_whole(alice: Client, body: str | bytes) -> None:
    assert_problem(post(alice, body), 400, "#")


def test_no_body_at_all_is_a_body_that_is_missing(alice: Client) -> None:
    assert_problem(post(alice, ""), 422, "#")


def test_base64_that_is_none_is_refused(alice: Client) -> None:
    assert_problem(alice.send(encoded_event("{not base64}")), 400, "#")


@pytest.mark.parametrize("digits", [400, 5000, 60_000])
@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_of_any_length_is_out_of_bounds_and_named(alice: Client, digits: int, sign: str) -> None:
    body = with_quantity(sign + "9" * digits)

    assert_problem(post(alice, body), 422, "#/items/0/quantity")


def test_a_fraction_of_any_size_is_no_quantity(alice: Client) -> None:
    assert_problem(post(alice, with_quantity("1e400")), 422, "#/items/0/quantity")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/xml",
        "*/*",
        ";",
    ],
)
def test_another_media_type_is_refused(alice: Client, content_type: str) -> None:
    assert_problem(post(alice, with_line(), Content_Type=content_type), 415)


class TestTheSizeOfTheBody:
    """64 KiB are accepted, one byte more is not; what counts is bytes, however API Gateway hands them over."""

    @staticmethod
    def body_of(size: int, filler: str) -> str:
        """JSON of that many bytes, with an unknown field, so that it is refused for another reason if it is read."""
        frame = json.dumps({"x": ""})
        room = size - len(frame)
        width = len(filler.encode())
        body = frame.replace('""', f'"{filler * (room // width)}{"." * (room % width)}"')
        assert len(body.encode()) == size
        return body

    @pytest.mark.parametrize("filler", ["a", "é", "😀"])
    @pytest.mark.parametrize("as_base64", [False, True])
    def test_the_last_byte_is_read(self, alice: Client, filler: str, as_base64: bool) -> None:
        body = self.body_of(MAX_BODY_BYTES, filler)

        assert post(alice, body.encode() if as_base64 else body).status == 422

    @pytest.mark.parametrize("filler", ["a", "é", "😀"])
    @pytest.mark.parametrize("as_base64", [False, True])
    def test_one_more_is_refused(self, alice: Client, filler: str, as_base64: bool) -> None:
        body = self.body_of(MAX_BODY_BYTES + 1, filler)

        assert_problem(post(alice, body.encode() if as_base64 else body), 413)

    def test_a_hundred_kibibytes_are_refused(self, alice: Client) -> None:
        assert_problem(post(alice, "x" * 100 * 1024), 413)


def test_an_address_without_a_route_is_a_problem_too(alice: Client) -> None:
    answer = alice.post("/api/v1/nothing", {})

    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["instance"] == "/api/v1/nothing"


def test_base64_is_only_the_way_it_travels(alice: Client) -> None:
    """The same wrong body, as text and as base64, is refused in the same words."""
    body = json.dumps(with_line(quantity=0))
    as_text = post(alice, body, X_Correlation_Id="correlation-1")
    as_base64 = alice.send(encoded_event(base64.b64encode(body.encode()).decode()))

    assert as_base64.json["errors"] == as_text.json["errors"]
