"""No SQL, no stack and no secret leave in an answer; no contact data goes into a log; nobody writes our log lines."""

from typing import Any
from uuid import UUID

import pytest

from functions.create_order import handler
from orders.db import Credentials, Database
from tests.integration.create_order.orders_api import post
from tests.support.api import Answer, Client
from tests.support.factories import EMAIL, PHONE, TRACE, TRACE_ID, Product, execute, order_body
from tests.support.logs import Logs

CONTACT = (EMAIL, EMAIL.partition("@")[0], PHONE, PHONE.lstrip("+"))
PAYMENT_METHOD = "pm_card_visa"


def assert_says_nothing_of_the_inside(answer: Answer) -> None:
    said = answer.text + repr(answer.headers)
    for word in (
        *("Traceback", "File ", ".py", "sqlalchemy", "pg8000", "psycopg", "Error(", "Exception"),
        *("SELECT", "INSERT", "orders_", "contact_email", "postgres", "/tmp", "PGSQL", "password"),
        *CONTACT,
    ):
        assert word not in said, word


def assert_keeps_contact_data_out(logs: Logs) -> None:
    written = logs.everything
    assert written, "nothing was captured"
    for datum in (*CONTACT, PAYMENT_METHOD):
        assert datum not in written, datum


@pytest.fixture
def body(product: Product) -> dict[str, Any]:
    return order_body([(product.product_id, 1)])


class TestLogs:
    def test_an_accepted_order_is_logged_without_contact_data(
        self, alice: Client, body: dict[str, Any], logs: Logs
    ) -> None:
        answer = post(alice, body)

        (line,) = logs.lines
        assert line["message"] == "Order accepted"
        assert line["order_id"] == answer.json["orderId"]
        assert line["correlation_id"] == answer.headers["x-correlation-id"]
        assert_keeps_contact_data_out(logs)

    def test_a_request_is_logged_under_the_trace_of_its_caller(
        self, alice: Client, body: dict[str, Any], logs: Logs
    ) -> None:
        post(alice, body, traceparent=TRACE.traceparent)
        post(alice, {}, traceparent=TRACE.traceparent)

        assert logs.lines
        assert {line["trace_id"] for line in logs.lines} == {TRACE_ID}

    def test_a_refused_one_too(self, alice: Client, body: dict[str, Any], logs: Logs) -> None:
        body["contact"]["phone"] = "not a number"
        body["unknown"] = EMAIL

        assert post(alice, body).status == 422
        assert EMAIL not in logs.everything

    @pytest.mark.parametrize(
        "defect",
        [
            # Postgres' DETAIL quotes the row, or the key that is there already; its message a value that does not fit.
            "ALTER TABLE orders ADD CONSTRAINT broken CHECK (contact_email IS NULL) NOT VALID",
            "CREATE UNIQUE INDEX broken ON orders (contact_email, contact_phone)",
            "ALTER TABLE orders ALTER COLUMN contact_phone TYPE varchar(3) USING left(contact_phone, 3)",
            "DROP INDEX orders_by_email; ALTER TABLE orders ALTER COLUMN contact_email TYPE int USING 0",
            "DROP TABLE outbox",
        ],
    )
    def test_a_database_error_too(
        self, alice: Client, body: dict[str, Any], database: Database, logs: Logs, defect: str
    ) -> None:
        post(alice, body)
        execute(database, defect)

        answer = post(alice, body)

        assert answer.status == 500
        assert [line["message"] for line in logs.lines].count("Request failed") == 1
        assert_keeps_contact_data_out(logs)
        assert_says_nothing_of_the_inside(answer)

    def test_an_unreachable_database_too(
        self, body: dict[str, Any], credentials: Credentials, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nowhere = credentials.model_copy(update={"host": "/nowhere", "password": "s3cr3t"})
        monkeypatch.setattr(handler, "database", Database(lambda: nowhere))

        answer = post(Client(handler.handler), body)

        assert answer.status == 503
        assert_keeps_contact_data_out(logs)
        assert "s3cr3t" not in logs.everything
        assert_says_nothing_of_the_inside(answer)


class TestAnInternalError:
    SECRET = "postgresql://orders:s3cr3t@db.internal/orders"

    @pytest.fixture
    def answer(
        self, alice: Client, body: dict[str, Any], logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> Answer:
        def fail(*_: object) -> None:
            raise RuntimeError(f"INSERT INTO orders failed at {self.SECRET}")

        monkeypatch.setattr(handler, "place_order", fail)
        return post(alice, body)

    def test_tells_the_client_nothing_but_how_to_ask_about_it(self, answer: Answer) -> None:
        assert answer.status == 500
        assert answer.json == {
            "type": "https://orders.example/problems/internal-error",
            "title": "Something went wrong on our side",
            "status": 500,
            "detail": "The error has been recorded",
            "instance": "/api/v1/orders",
            "correlationId": answer.headers["x-correlation-id"],
        }
        assert_says_nothing_of_the_inside(answer)

    def test_is_in_the_log_once_with_its_stack_under_that_correlation_id(
        self, answer: Answer, logs: Logs
    ) -> None:
        (line,) = [line for line in logs.lines if line["level"] == "ERROR"]
        assert line["correlation_id"] == answer.json["correlationId"]
        assert line["exception_name"] == "RuntimeError"
        assert "place_order" in line["exception"]


class TestTheCorrelationId:
    @pytest.mark.parametrize("id", ["checkout-42", "a.b_c-D9", "8letters", "x" * 64])
    def test_of_the_caller_is_taken_and_given_back(
        self, alice: Client, body: dict[str, Any], logs: Logs, id: str
    ) -> None:
        answer = post(alice, body, X_Correlation_Id=id)

        assert answer.headers["x-correlation-id"] == id
        assert {line["correlation_id"] for line in logs.lines} == {id}

    @pytest.mark.parametrize(
        "id",
        [
            "short",
            "x" * 65,
            "with a space",
            "uñicode-id",
            'quote"quote',
            "12345678,12345678",
            "12345678\n",
            '12345678\n{"level":"ERROR","message":"forged"}',
            "12345678\r\nSet-Cookie: a=b",
            "<script>alert(1)</script>",
        ],
    )
    def test_of_the_caller_is_replaced_when_it_could_do_harm(
        self, alice: Client, body: dict[str, Any], logs: Logs, id: str
    ) -> None:
        answer = post(alice, body, X_Correlation_Id=id)

        assert UUID(answer.headers["x-correlation-id"]).version == 7
        assert {line["correlation_id"] for line in logs.lines} == {answer.headers["x-correlation-id"]}
        assert "forged" not in logs.everything

    def test_is_on_every_kind_of_answer(self, alice: Client, body: dict[str, Any]) -> None:
        answers = [
            post(alice, body, X_Correlation_Id="checkout-42"),
            post(alice, {}, X_Correlation_Id="checkout-42"),
            post(alice, "x" * 100_000, X_Correlation_Id="checkout-42"),
            post(alice, body, X_Correlation_Id="checkout-42", Content_Type="text/plain"),
            alice.post("/api/v1/nothing", {}, {"X-Correlation-Id": "checkout-42"}),
        ]

        assert [answer.status for answer in answers] == [202, 422, 413, 415, 404]
        assert {answer.headers["x-correlation-id"] for answer in answers} == {"checkout-42"}
        assert {answer.json["correlationId"] for answer in answers[1:]} == {"checkout-42"}

    def test_is_a_new_one_for_each_request(self, alice: Client, body: dict[str, Any]) -> None:
        first, second = post(alice, body), post(alice, body)

        assert first.headers["x-correlation-id"] != second.headers["x-correlation-id"]


def test_a_client_cannot_write_log_lines(alice: Client, body: dict[str, Any], logs: Logs) -> None:
    forged = '\n{"level":"ERROR","message":"forged"}\n'
    body[forged] = forged

    post(alice, body, key="k", User_Agent=forged, traceparent=forged)
    alice.post(f"/api/v1/{forged}", {})

    assert all(line.get("message") != "forged" for line in logs.lines)
