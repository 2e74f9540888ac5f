"""The command line of operators: where it finds its API, and how it reads the API's answers."""

import json
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tools.cli.operations import app
from tools.cli.operations_tables import execution_table, health_table, order_report
from tools.client.http import ApiClient
from tools.console import Console
from tools.errors import LocalCloudError

API = "https://api.example"


def talking_to(answers: dict[str, Any], asked: list[httpx.Request]) -> ApiClient:
    """A client whose API answers by path and query; what it was asked is kept."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        status, body = answers[request.url.raw_path.decode()]
        return httpx.Response(status, json=body)

    return ApiClient(httpx.Client(base_url=f"{API}/api/v1/", transport=httpx.MockTransport(answer)))


def rendered(shown: Any) -> str:
    console = Console(width=200, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(shown)
    return capture.get()


def test_a_list_is_read_page_after_page() -> None:
    asked: list[httpx.Request] = []
    client = talking_to(
        {
            "/api/v1/admin/orders?status=PENDING": (200, {"items": [1, 2], "nextCursor": "next"}),
            "/api/v1/admin/orders?status=PENDING&cursor=next": (200, {"items": [3], "nextCursor": None}),
        },
        asked,
    )

    assert list(client.items("admin/orders", status="PENDING")) == [1, 2, 3]


def test_what_was_not_given_is_not_sent() -> None:
    asked: list[httpx.Request] = []
    client = talking_to({"/api/v1/admin/x": (200, {})}, asked)

    client.post("admin/x", note=None, status="CANCELLED")

    assert json.loads(asked[0].content) == {"status": "CANCELLED"}


def test_an_api_that_does_not_answer_is_told(nobody: str) -> None:
    with (
        pytest.raises(LocalCloudError, match="does not answer"),
        ApiClient.connect(nobody, "token") as client,
    ):
        client.get("admin/queues")


@pytest.mark.parametrize("arguments", [[], ["message-1", "--all"]])
def test_a_redrive_names_one_message_or_says_all(arguments: list[str]) -> None:
    result = CliRunner().invoke(
        app, ["dlq", "redrive", "order-processing", *arguments, "--api-url", API, "--token", "x"]
    )

    assert result.exit_code == 2


@pytest.mark.parametrize(
    "command",
    [["dlq", "discard", "order-processing", "message-1"], ["review", "close", "order-1", "CANCELLED"]],
)
def test_what_cannot_be_taken_back_needs_a_note(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--api-url", API, "--token", "x"])

    assert result.exit_code == 2


def test_a_report_shows_money_stock_errors_and_what_may_be_done() -> None:
    step = {"name": "RefundPayment", "status": "FAILED", "attempts": 13, "error": "Timeout", "at": "now"}
    payment = {"status": "CAPTURED", "captured": 6500, "refunded": 0}
    shown = rendered(
        order_report(
            {
                "order": {
                    "orderId": "order-1",
                    "status": "NEEDS_REVIEW",
                    "failureReason": None,
                    "totalAmount": 6500,
                    "currency": "USD",
                    "correlationId": "c",
                    "payment": payment,
                    "steps": [step],
                    "reservations": [],
                    "events": [],
                    "notifications": [],
                    "repairs": [],
                    "actions": [],
                },
                "execution": {"name": "order-order-1", "status": "FAILED", "error": "States.Timeout"},
                "gateway": {"status": "CAPTURED"},
                "actions": ["resume"],
                "operatorActions": [
                    {"action": "resume", "isPossible": True, "reason": None},
                    {"action": "refund", "isPossible": False, "reason": "the order is [/] NEEDS_REVIEW"},
                ],
                "review": {
                    "reasons": [
                        {"text": "stock not back: 2 × Headphones [/] reserved"},
                        {"text": "money: nothing captured"},
                    ],
                    "suggested": "resume",
                },
            }
        )
    )

    assert "captured 65.00 USD, refunded 0.00 USD; at the gateway CAPTURED" in shown
    assert "order-order-1 FAILED: States.Timeout" in shown
    assert "13" in shown
    assert "May be done now: resume" in shown
    assert "  not refund: the order is [/] NEEDS_REVIEW" in shown
    assert [line.strip() for line in shown.splitlines() if line.startswith("  ")][:3] == [
        "stock not back: 2 × Headphones [/] reserved",
        "money: nothing captured",
        "suggested: resume",
    ]


def test_an_execution_shows_the_attempts_that_failed() -> None:
    visit = {"state": "VerifyStock", "enteredAt": "then", "exitedAt": None, "errors": ["A", "B"]}

    shown = rendered(
        execution_table({"name": "order-1", "status": "RUNNING", "error": None, "states": [visit]})
    )

    assert "A, B" in shown


def test_the_health_shows_each_part() -> None:
    shown = rendered(
        health_table(
            {
                "status": "down",
                "reason": None,
                "database": {
                    "status": "down",
                    "reason": "[it] does not answer",
                    "latencyMs": None,
                    "poolSize": 1,
                },
            }
        )
    )

    assert "database" in shown
    assert "[it] does not answer" in shown
    assert "poolSize 1" in shown
    assert "latencyMs" not in shown
