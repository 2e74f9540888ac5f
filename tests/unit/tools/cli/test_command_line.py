"""What all commands have in common: one JSON document, whole ids, the API that was named, exit codes, no traceback."""

import json
import os
import pty
import re
import signal
import subprocess
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any, Final

import pytest
import typer

from tests.unit.tools.cli.conftest import TOKEN, FakeApi, Shell, Terminal, stream
from tools.cli.__main__ import app
from tools.cloud.settings import ROOT

ORDER: Final = "018f3f7e-0000-7000-8000-00000000000a"
PRODUCT: Final = "018f3f7e-0000-7000-8000-00000000000b"
WEBHOOK: Final = "018f3f7e-0000-7000-8000-00000000000c"
DELIVERY: Final = "018f3f7e-0000-7000-8000-00000000000d"
EVENT: Final = "018f3f7e-0000-7000-8000-00000000000e"
MESSAGE: Final = "018f3f7e-0000-7000-8000-00000000000f"
ADDRESSEE: Final = "018f3f7e-0000-7000-8000-000000000010"
CUSTOMER: Final = "018f3f7e-0000-7000-8000-000000000011"
NOON: Final = "2026-07-01T12:00:00.123456Z"

DEPTH = {"visible": 1, "inFlight": 0, "delayed": 0}
QUEUE = {"name": "order-processing", "queue": DEPTH, "dlq": DEPTH, "oldestMessageAgeSeconds": 7}
STOCKED = {
    "productId": PRODUCT,
    "name": "Café ☕ keyboard",
    "unitPrice": 12900,
    "currency": "USD",
    "active": True,
    "available": 7,
    "stocked": 10,
    "reserved": 2,
    "sold": 1,
    "lowStockThreshold": 1,
}
PROGRESS = {
    "orderId": ORDER,
    "status": "CONFIRMED",
    "progress": 100,
    "failureReason": None,
    "steps": [{"name": "VerifyStock", "status": "SUCCEEDED", "at": NOON}],
}
SUMMARY = {
    "orderId": ORDER,
    "status": "CANCELLED",
    "failureReason": "PAYMENT_DECLINED",
    "totalAmount": 12900,
    "currency": "USD",
    "createdAt": NOON,
    "updatedAt": NOON,
}
DETAIL = {
    **SUMMARY,
    "items": [
        {"productId": PRODUCT, "productName": "Café ☕ keyboard", "quantity": 2, "unitPrice": 6450},
    ],
}
HOOK = {
    "webhookId": WEBHOOK,
    "url": "https://shop.example.com/hooks/orders/of/a/long/path",
    "status": "ENABLED",
    "disabledReason": None,
    "description": "Café",
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "previousSecretExpiresAt": NOON,
    "eventTypes": None,
}
SENT = {
    "deliveryId": DELIVERY,
    "eventType": "com.orders.order.confirmed.v1",
    "orderId": ORDER,
    "status": "PENDING",
    "attempts": 2,
    "lastStatus": 500,
    "lastError": "HTTP_STATUS",
    "nextAttemptAt": NOON,
}
LETTER = {
    "messageId": MESSAGE,
    "cause": "CONSUMER_FAILED",
    "explanation": "Its consumer failed",
    "eventId": EVENT,
    "eventType": "com.orders.order.created.v1",
    "orderId": ORDER,
    "orderStatus": "PENDING",
    "correlationId": "c",
    "sentAt": NOON,
    "received": 5,
    "errors": ["Timeout"],
}
DEAD = {"eventId": EVENT, "type": "t", "orderId": ORDER, "attempts": 1, "lastError": "MessageTooLarge"}
DETAILED = {
    "status": "up",
    "reason": None,
    "database": {"status": "up", "reason": None, "latencyMs": 1.0},
}
REPORT = {
    "order": {
        **SUMMARY,
        "correlationId": "c",
        "payment": None,
        "steps": [{"name": "RefundPayment", "status": "FAILED", "attempts": 1, "error": None, "at": NOON}],
        "reservations": [],
        "events": [],
        "notifications": [],
        "repairs": [],
        "actions": [],
    },
    "execution": {"name": "order-1", "status": "FAILED", "error": None},
    "gateway": None,
    "actions": ["resume"],
    "operatorActions": [
        {"action": "resume", "isPossible": True, "reason": None},
        {"action": "refund", "isPossible": False, "reason": "The order is NEEDS_REVIEW"},
    ],
    "review": {"reasons": [{"text": "money: nothing captured"}], "suggested": "resume"},
}
STORY = {
    "orderId": ORDER,
    "executionsKnown": True,
    "items": [
        {
            "time": NOON,
            "kind": "step",
            "title": "Step ProcessPayment",
            "status": "FAILED",
            "detail": {
                "name": "ProcessPayment",
                "status": "FAILED",
                "attempts": 3,
                "error": "Timeout",
                "at": NOON,
            },
        }
    ],
}
LOG_LINE = {
    "time": NOON,
    "level": "INFO",
    "function": "notify",
    "message": "Notification sent",
    "fields": {"order_id": ORDER, "error": None},
}
LOGS = {"items": [LOG_LINE], "nextCursor": None, "isComplete": True}
PAYMENT = {
    "orderId": ORDER,
    "orderStatus": "PROCESSING",
    "status": "UNKNOWN",
    "amount": 12900,
    "currency": "USD",
    "captured": 0,
    "refunded": 0,
    "updatedAt": NOON,
    "finding": "nobody knows yet whether it was captured",
}
FAILING = {
    "webhookId": WEBHOOK,
    "customerId": CUSTOMER,
    "url": "https://shop.example.com/hooks",
    "status": "ENABLED",
    "consecutiveFailures": 3,
    "lastStatus": 500,
    "lastError": "HTTP_STATUS",
    "lastAttemptAt": NOON,
}
NUMBERS = {
    "orders": {"pending": 1, "processing": 2, "needsReview": 3},
    "lastHour": {"pending": 1, "confirmed": 7},
    "sagasInFlight": 2,
    "relay": {"pending": 4, "lagSeconds": 1.5, "dead": 0},
    "unknownPayments": 0,
    "refunds": {"needsReview": 0},
    "lowStockProducts": 0,
    "paymentGateway": {"state": "CLOSED"},
}
RECIPIENT = {
    "recipientId": ADDRESSEE,
    "channel": "email",
    "address": "friend@example.com",
    "confirmedAt": None,
    "codeExpiresAt": NOON,
}
SUPPRESSED = {"address": "ada@example.com", "reason": "BOUNCED", "orderId": ORDER, "since": NOON}
ERASED = {"userId": CUSTOMER, "ordersErased": 1, "ordersLeft": 0, "webhooksRemoved": 1, "complete": True}


def page(*items: Any) -> dict[str, Any]:
    return {"items": list(items), "nextCursor": None}


ACCEPTED = {"orderId": ORDER, "status": "PENDING", "totalAmount": 12900, "currency": "USD", "createdAt": NOON}

CANCELLED = {
    "orderId": ORDER,
    "status": "PROCESSING",
    "outcome": "CANCELLING",
    "refundId": None,
    "requestedAt": NOON,
}

MAILS: Final = ("--email", "ada@example.com")
"""A token that was given says no address."""

COMMANDS: list[tuple[list[str], dict[tuple[str, str], Any]]] = [
    (["place", *MAILS], {("GET", "/products"): page(STOCKED), ("POST", "/orders"): ACCEPTED}),
    (
        ["place", "--watch", *MAILS],
        {
            ("GET", "/products"): page(STOCKED),
            ("POST", "/orders"): ACCEPTED,
            ("GET", f"/orders/{ORDER}/status"): PROGRESS,
        },
    ),
    (["cancel", ORDER, "--yes"], {("POST", f"/orders/{ORDER}/cancellation"): CANCELLED}),
    (
        ["cancel", ORDER, "--yes", "--watch"],
        {
            ("POST", f"/orders/{ORDER}/cancellation"): CANCELLED,
            ("GET", f"/orders/{ORDER}/status"): PROGRESS,
        },
    ),
    (
        ["show", ORDER],
        {("GET", f"/orders/{ORDER}"): DETAIL, ("GET", f"/orders/{ORDER}/status"): PROGRESS},
    ),
    (["list"], {("GET", "/orders"): page(SUMMARY)}),
    (["list", "--all", "--status", "CANCELLED"], {("GET", "/orders"): page(SUMMARY)}),
    (["product", "list"], {("GET", "/admin/products"): page(STOCKED)}),
    (["product", "add", "Tea", "--price", "300"], {("POST", "/admin/products"): STOCKED}),
    (["webhook", "add", "https://a.example/"], {("POST", "/webhooks"): HOOK}),
    (["webhook", "list"], {("GET", "/webhooks"): page(HOOK)}),
    (["webhook", "remove", WEBHOOK], {("DELETE", f"/webhooks/{WEBHOOK}"): {}}),
    (["webhook", "rotate", WEBHOOK], {("POST", f"/webhooks/{WEBHOOK}/secret"): HOOK}),
    (["webhook", "enable", WEBHOOK], {("POST", f"/webhooks/{WEBHOOK}/enable"): HOOK}),
    (["webhook", "trigger", WEBHOOK], {("POST", f"/webhooks/{WEBHOOK}/test"): SENT}),
    (["webhook", "deliveries", WEBHOOK], {("GET", f"/webhooks/{WEBHOOK}/deliveries"): page(SENT)}),
    (
        ["webhook", "redeliver", WEBHOOK, DELIVERY],
        {("POST", f"/webhooks/{WEBHOOK}/deliveries/{DELIVERY}/redeliver"): SENT},
    ),
    (
        ["dlq", "list"],
        {("GET", "/admin/queues"): page(QUEUE)},
    ),
    (["dlq", "show", "q"], {("GET", "/admin/dlqs/q/messages"): page(LETTER)}),
    (["dlq", "redrive", "q", "--all"], {("POST", "/admin/dlqs/q/redrive"): {"moved": None}}),
    (
        ["dlq", "discard", "q", MESSAGE, "-n", "why"],
        {("POST", f"/admin/dlqs/q/messages/{MESSAGE}/discard"): {"messageId": MESSAGE}},
    ),
    (["review", "list"], {("GET", "/admin/orders"): page(SUMMARY)}),
    (["find", "--email", "ada@example.com"], {("GET", "/admin/orders"): page(SUMMARY)}),
    (["timeline", ORDER], {("GET", f"/admin/orders/{ORDER}/timeline"): STORY}),
    (
        ["queues"],
        {("GET", "/admin/queues"): page(QUEUE)},
    ),
    (["stats"], {("GET", "/admin/stats"): NUMBERS}),
    (["review", "show", ORDER], {("GET", f"/admin/orders/{ORDER}"): REPORT}),
    (
        ["review", "resume", ORDER],
        {
            ("POST", f"/admin/orders/{ORDER}/resume"): {
                "status": "PROCESSING",
                "execution": "e",
                "started": True,
            }
        },
    ),
    (
        ["review", "close", ORDER, "CANCELLED", "-n", "why"],
        {("POST", f"/admin/orders/{ORDER}/close"): {"orderId": ORDER, "status": "CANCELLED"}},
    ),
    (["outbox", "dead"], {("GET", "/admin/outbox"): page(DEAD)}),
    (["outbox", "redrive", EVENT], {("POST", f"/admin/outbox/{EVENT}/redrive"): {"eventId": EVENT}}),
    (["outbox", "redrive", "--all"], {("POST", "/admin/outbox/redrive"): {"redriven": 2, "left": 0}}),
    (
        ["outbox", "discard", EVENT, "-n", "why"],
        {("POST", f"/admin/outbox/{EVENT}/discard"): {"eventId": EVENT}},
    ),
    (["logs", ORDER], {("GET", f"/admin/orders/{ORDER}/logs"): LOGS}),
    (["payments"], {("GET", "/admin/payments"): page(PAYMENT)}),
    (["webhook", "list", "--all"], {("GET", "/admin/webhooks"): page(FAILING)}),
    (
        ["resend", ORDER, "order_confirmed"],
        {("POST", f"/admin/orders/{ORDER}/notifications"): {"orderId": ORDER, "status": "QUEUED"}},
    ),
    (
        ["redeliver", ORDER, DELIVERY],
        {("POST", f"/admin/orders/{ORDER}/deliveries/{DELIVERY}/redeliver"): SENT},
    ),
    (["health"], {("GET", "/health/detailed"): DETAILED}),
    (["webhook", "update", WEBHOOK, "--event", "all"], {("PATCH", f"/webhooks/{WEBHOOK}"): HOOK}),
    (["recipients", "add", "friend@example.com"], {("POST", "/recipients"): RECIPIENT}),
    (
        ["recipients", "confirm", ADDRESSEE, "012345"],
        {("POST", f"/recipients/{ADDRESSEE}/confirmation"): RECIPIENT},
    ),
    (["recipients", "list"], {("GET", "/recipients"): page(RECIPIENT)}),
    (["recipients", "remove", ADDRESSEE], {("DELETE", f"/recipients/{ADDRESSEE}"): {}}),
    (
        ["erase-customer", CUSTOMER, "-n", "why", "--yes"],
        {("POST", f"/admin/customers/{CUSTOMER}/erasure"): ERASED},
    ),
    (["addresses", "list"], {("GET", "/admin/suppressed-addresses"): page(SUPPRESSED)}),
    (
        ["addresses", "show", "ada@example.com"],
        {("GET", "/admin/suppressed-addresses/ada@example.com"): SUPPRESSED},
    ),
    (
        ["addresses", "allow", "ada@example.com", "-n", "why"],
        {("DELETE", "/admin/suppressed-addresses/ada@example.com"): {}},
    ),
]
SHOWING: Final = {  # with ids, times and others' text
    ("list",),
    ("show", ORDER),
    ("product", "list"),
    ("webhook", "deliveries", WEBHOOK),
    ("recipients", "list"),
    ("addresses", "list"),
    ("dlq", "show", "q"),
    ("find", "--email", "ada@example.com"),
    ("logs", ORDER),
    ("payments",),
}
LOCAL: Final = (["up"], ["down"], ["status"], ["demo"], ["audit"], ["mails"], ["gateway", "down"])


def named(command: list[str]) -> str:
    return " ".join(word for word in command if not word.startswith("018f"))


def every_command() -> list[list[str]]:
    def below(group: Any, words: list[str]) -> list[list[str]]:
        if not hasattr(group, "commands"):
            return [words]
        return [found for name, one in group.commands.items() for found in below(one, [*words, name])]

    return below(typer.main.get_command(app), [])


@pytest.mark.parametrize(
    ("command", "responses"), COMMANDS, ids=lambda given: named(given) if isinstance(given, list) else ""
)
class TestEachCommandOfAnApi:
    def test_is_told_to_the_api_that_is_named_with_its_token_and_says_so(
        self, command: list[str], responses: dict[tuple[str, str], Any], api: FakeApi, shell: Shell
    ) -> None:
        api.responses = responses
        done = shell.orders(*command, "--json")

        assert done.returncode == 0, done.stderr.decode()
        assert {request.headers["authorization"] for request in api.asked} == {f"Bearer {TOKEN}"}
        assert f"API {api.url}" in done.stderr.decode()
        assert isinstance(json.loads(done.stdout), dict), "one document, and nothing else"
        assert api.url not in done.stdout.decode()


def test_orders_are_exported_to_a_file(api: FakeApi, shell: Shell, tmp_path: Path) -> None:
    api.responses = {("GET", "/admin/orders"): (200, "text/csv; charset=utf-8", f"orderId\r\n{ORDER}\r\n")}
    target = tmp_path / "orders.csv"

    done = shell.orders("find", "--email", "ada+x@example.com", "--csv", str(target), "--json")

    assert json.loads(done.stdout) == {"file": str(target), "orders": 1}
    assert target.read_bytes() == f"orderId\r\n{ORDER}\r\n".encode()
    (asked,) = api.asked
    assert asked.headers["accept"] == "text/csv"
    assert "email=ada%2Bx%40example.com" in asked.path


def test_a_file_that_cannot_be_written_is_wrong_usage(api: FakeApi, shell: Shell, tmp_path: Path) -> None:
    done = shell.orders("find", "--csv", str(tmp_path / "nowhere" / "orders.csv"))

    assert (done.returncode, api.asked) == (2, [])


def test_a_token_says_no_address_so_an_order_needs_one(api: FakeApi, shell: Shell) -> None:
    api.responses = {("GET", "/products"): page(STOCKED), ("POST", "/orders"): ACCEPTED}
    done = shell.orders("place")

    assert (done.returncode, b"--email" in done.stderr) == (2, True)
    assert [request for request in api.asked if request.method == "POST"] == []


def responses_to(*command: str) -> dict[tuple[str, str], Any]:
    return {
        key: value
        for given, responses in COMMANDS
        if tuple(given) == command
        for key, value in responses.items()
    }


@pytest.mark.parametrize("width", ["40", "80"])
@pytest.mark.parametrize("command", sorted(SHOWING), ids=lambda given: named(list(given)))
def test_ids_are_whole_and_times_local_at_any_width(
    command: tuple[str, ...], width: str, api: FakeApi, shell: Shell
) -> None:
    api.responses = responses_to(*command)
    ids = set(re.findall(r"018f[0-9a-f-]{32}", json.dumps(list(api.responses.values()))))

    seen = shell.orders(*command, output=Terminal(), COLUMNS=width, TERM="xterm").stdout.decode()
    piped = shell.orders(*command, COLUMNS=width).stdout.decode()

    for output in (seen, piped):
        assert ids <= set(re.findall(r"018f[0-9a-f-]{32}", output))
        assert "\x1b[3" not in piped
    if (
        any("At" in key for key in json.dumps(list(api.responses.values())).split('"'))
        and "show" not in command[0]
    ):
        assert "2026-07-01 14:00:00 CEST" in piped


def test_a_narrow_terminal_gets_a_block_for_each_row(api: FakeApi, shell: Shell) -> None:
    """In a process of its own, on a terminal that is one."""
    api.responses = responses_to("list")

    narrow, wide = (on_a_terminal(shell, ("list",), width) for width in ("40", "400"))

    assert ORDER in narrow
    assert ORDER in wide
    assert len(narrow.splitlines()) > len(wide.splitlines())
    assert "\x1b[1m" in narrow


def on_a_terminal(shell: Shell, command: tuple[str, ...], width: str) -> str:
    """What a terminal of this width is sent."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [str(ROOT / "bin" / "orders"), *command],
        env=shell.environment | {"COLUMNS": width, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(theirs)
        output = b""
        with os.fdopen(ours, "rb", buffering=0) as terminal:
            while True:
                try:
                    part = terminal.read(65536)
                except OSError:
                    break
                if not part:
                    break
                output += part
        assert process.wait() == 0
    return output.decode()


@pytest.mark.parametrize("command", sorted(SHOWING), ids=lambda given: named(list(given)))
def test_who_reads_ascii_gets_replacements_and_no_traceback(
    command: tuple[str, ...], api: FakeApi, shell: Shell
) -> None:
    api.responses = responses_to(*command)

    done = shell.orders(*command, output=stream("ascii"))

    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert b"Traceback" not in done.stderr


def test_an_ascii_locale_gets_replacements(api: FakeApi, shell: Shell) -> None:
    api.responses = responses_to("product", "list")

    done = shell.start_and_end("product", "list", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert (done.returncode, b"Caf? ? keyboard" in done.stdout) == (0, True), done.stderr


def test_an_ascii_locale_gets_the_whole_document(api: FakeApi, shell: Shell) -> None:
    api.responses = {("GET", "/admin/products"): page(STOCKED)}
    done = shell.start_and_end(
        "product", "list", "--json", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0"
    )
    assert json.loads(done.stdout)["items"][0]["name"] == STOCKED["name"]


FAILURES: Final[dict[str, tuple[Any, int, str]]] = {
    "a refusal": (
        (422, "application/problem+json", '{"type": "x/invalid", "title": "Invalid", "detail": "No"}'),
        3,
        "No",
    ),
    "a dead token": ((401, "application/json", '{"message": "Unauthorized"}'), 3, "bin/orders login"),
    "somebody else's": (
        (404, "application/problem+json", '{"type": "x/none", "title": "None", "detail": "No order"}'),
        3,
        "No order",
    ),
    "a failure": (
        (500, "application/json", '{"message": "Internal Server Error"}'),
        4,
        "Internal Server Error",
    ),
    "a proxy's page": ((502, "text/html", "<html><h1>Bad Gateway</h1></html>"), 4, "text/html"),
    "a login page": ((200, "text/html", "<html>Sign in</html>"), 4, "text/html"),
    "no document": ((200, "application/json", ""), 4, ""),
    "half a document": ((200, "application/json", '{"items": ['), 4, ""),
    "a list": ((200, "application/json", "[]"), 4, ""),
    "another document": ((200, "application/json", '{"hello": "world"}'), 4, ""),
    "a redirect": ((302, "text/html", ""), 4, "302"),
    "a problem that is none": ((400, "application/json", '{"type": 5, "errors": "x"}'), 3, "400"),
}


@pytest.mark.parametrize("command", [["webhook", "list"], ["show", ORDER], ["product", "list"]], ids=named)
@pytest.mark.parametrize("failure", FAILURES)
def test_whatever_the_api_sends_is_told_in_a_message_and_an_exit_code(
    command: list[str], failure: str, api: FakeApi, shell: Shell
) -> None:
    response, code, said = FAILURES[failure]
    api.responses = {("*", "*"): response}

    done = shell.orders(*command, "--json")

    errors = done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert (done.returncode, done.stdout) == (code, b""), errors
    problem = json.loads(errors.splitlines()[-1])
    assert said in problem["message"]


class TestWhereACommandGoes:
    @pytest.mark.parametrize("command", LOCAL, ids=named)
    def test_what_works_on_the_local_cloud_alone_refuses_another(
        self, command: list[str], api: FakeApi, shell: Shell
    ) -> None:
        done = shell.orders(*command)

        assert done.returncode == 2
        assert f"orders {named(command)} works on the local cloud only".encode() in done.stderr
        assert f"bin/orders {named(command)}\n".encode() in done.stderr
        assert api.url.encode() in done.stderr
        assert api.asked == []

    def test_an_option_names_the_api_too(self, api: FakeApi, shell: Shell) -> None:
        api.responses = {("GET", "/orders"): page()}
        done = shell.orders("list", "--api-url", f"{api.url}/api/v1/", ORDERS_API_URL="http://127.0.0.1:1")
        assert done.returncode == 0
        assert len(api.asked) == 1

    @pytest.mark.parametrize(
        "url",
        [
            "api.example.com",
            "ftp://api.example.com",
            "http://api.example.com",
            "https://me@api.example.com",
            "http://[::1",
            "http://x:port",
            "https://a.example/?x=1",
        ],
    )
    def test_what_is_no_url_of_an_api_is_refused(self, url: str, shell: Shell) -> None:
        done = shell.orders("list", ORDERS_API_URL=url)
        assert done.returncode == 2
        assert b"Traceback" not in done.stderr

    def test_an_api_that_is_not_there_is_told(self, shell: Shell, nobody: str) -> None:
        done = shell.orders("product", "list", ORDERS_API_URL=nobody)
        assert done.returncode == 4
        assert b"does not answer" in done.stderr

    def test_a_local_cloud_that_is_not_up_is_told(self, shell: Shell) -> None:
        for command in ("list", "mails", "audit"):
            done = shell.orders(command, ORDERS_API_URL="")
            assert (done.returncode, b"make up" in done.stderr) == (4, True)

    @pytest.mark.parametrize("user", ["customer", "admin"])
    def test_the_local_cloud_s_users_are_not_another_system_s(
        self, user: str, api: FakeApi, shell: Shell
    ) -> None:
        done = shell.orders("list", "--user", user, ORDERS_TOKEN="")
        assert done.returncode == 2
        assert b"is a user of the local cloud" in done.stderr
        assert api.asked == []

    def test_nobody_is_signed_in_to_an_api_because_of_another(self, api: FakeApi, shell: Shell) -> None:
        (shell.home / "session.json").write_text(json.dumps(session("http://127.0.0.1:1", "local-token")))
        done = shell.orders("list", ORDERS_TOKEN="")
        assert done.returncode == 3
        assert b"Nobody is signed in" in done.stderr
        assert api.asked == []

    def test_a_token_of_the_local_cloud_is_not_sent_elsewhere(self, api: FakeApi, shell: Shell) -> None:
        (shell.home / "stack.json").write_text(json.dumps({"user_pool_id": "us-east-1_Local"}))
        done = shell.orders("list", ORDERS_TOKEN=token_of("us-east-1_Local"))
        assert done.returncode == 3
        assert api.asked == []

    def test_a_token_of_elsewhere_is_not_sent_to_the_local_cloud(self, api: FakeApi, shell: Shell) -> None:
        (shell.home / "stack.json").write_text(json.dumps({"user_pool_id": "us-east-1_Local"}))
        port = api.url.rpartition(":")[2]
        done = shell.orders("list", ORDERS_TOKEN=token_of("eu-west-1_Prod"), ORDERS_PORT=port)
        assert done.returncode == 3
        assert api.asked == []

    @pytest.mark.parametrize("token", ["two words", "café", "line\nbreak"])
    def test_what_can_be_no_token_is_not_sent(self, token: str, api: FakeApi, shell: Shell) -> None:
        done = shell.orders("list", ORDERS_TOKEN=token)
        assert done.returncode in {1, 2, 3}
        assert b"Traceback" not in done.stderr
        assert api.asked == []

    def test_the_pages_of_the_api_that_is_named_are_opened(self, api: FakeApi, shell: Shell) -> None:
        assert shell.orders("open", "docs").stdout.decode().strip() == f"{api.url}/api/v1/docs"
        assert json.loads(shell.orders("open", "api", "--json").stdout) == {
            "url": f"{api.url}/api/v1/openapi.json"
        }


def session(api_url: str, token: str) -> dict[str, Any]:
    return {
        "email": "a@example.com",
        "api_url": api_url,
        "region": None,
        "user_pool_client_id": "c",
        "access_token": token,
        "refresh_token": "r",
        "expires_at": time.time() + 900,
    }


def token_of(pool: str) -> str:
    claims = json.dumps({"iss": f"https://cognito-idp.us-east-1.amazonaws.com/{pool}"}).encode()
    return f"e30.{urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


class TestHowACommandEnds:
    @pytest.mark.parametrize("command", every_command(), ids=" ".join)
    def test_all_have_short_help_and_json(self, command: list[str]) -> None:
        one: Any = typer.main.get_command(app)
        for word in command:
            one = one.commands[word]
        assert "--json" in {name for parameter in one.params for name in parameter.opts}

    @pytest.mark.parametrize("command", [[], ["webhook"], ["product", "stock"], ["dlq", "show"]], ids=named)
    def test_help_is_short_too(self, command: list[str], shell: Shell) -> None:
        short, long = shell.orders(*command, "-h"), shell.orders(*command, "--help")
        assert short.returncode == long.returncode == 0
        assert short.stdout == long.stdout
        assert b"Usage: orders" in short.stdout

    def test_the_exit_codes_are_told(self, shell: Shell) -> None:
        told = " ".join(shell.orders("--help").stdout.decode().split())
        documented = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
        for code in ("0", "1", "2", "3", "4", "70", "130", "141", "143"):
            assert re.search(rf"\b{code} ", told)
            assert f"| {code} |" in documented

    def test_the_version_is_the_project_s(self, shell: Shell) -> None:
        assert shell.orders("--version").stdout == b"orders 0.1.0\n"

    @pytest.mark.parametrize(("words", "found"), [("orders pla", "place"), ("orders webhook li", "listen")])
    def test_a_shell_completes(self, words: str, found: str, shell: Shell) -> None:
        done = shell.orders(
            _ORDERS_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" "))
        )
        assert found in done.stdout.decode().split()

    @pytest.mark.parametrize(
        "arguments", [["nope"], ["place", "--nope"], ["show"], ["show", "not-an-id"]], ids=named
    )
    def test_wrong_usage_is_told(self, arguments: list[str], shell: Shell) -> None:
        done = shell.orders(*arguments)
        assert done.returncode == 2
        assert b"Error" in done.stderr
        assert json.loads(shell.orders(*arguments, "--json").stderr)["title"] == "Usage"

    def test_an_order_that_needs_review_is_an_exit_code_and_a_document(
        self, api: FakeApi, shell: Shell
    ) -> None:
        api.responses = {
            ("GET", f"/orders/{ORDER}"): DETAIL,
            ("GET", f"/orders/{ORDER}/status"): PROGRESS | {"status": "NEEDS_REVIEW"},
        }
        done = shell.orders("show", ORDER, "--json")
        assert done.returncode == 1
        assert json.loads(done.stdout)["status"] == "NEEDS_REVIEW"

    @pytest.mark.parametrize("command", [["product", "list"], ["product", "list", "--json"]], ids=named)
    def test_nobody_who_reads_is_no_traceback(self, command: list[str], api: FakeApi, shell: Shell) -> None:
        api.responses = {("GET", "/admin/products"): page(*[STOCKED] * 800)}
        with shell.start(*command) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            errors = process.stderr.read()
        assert process.returncode == 141
        assert b"Traceback" not in errors
        assert b"BrokenPipe" not in errors

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_an_interrupt_is_an_exit_code_and_no_traceback(
        self, number: signal.Signals, code: int, api: FakeApi, shell: Shell
    ) -> None:
        api.responses = {
            ("GET", f"/orders/{ORDER}"): DETAIL,
            ("GET", f"/orders/{ORDER}/status"): PROGRESS | {"status": "PROCESSING"},
        }
        with shell.start("show", ORDER, "--watch") as process:
            while len(api.asked) < 3:
                time.sleep(0.01)
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
        assert process.returncode == code
        assert b"Traceback" not in errors

    def test_a_defect_is_told_without_a_traceback_unless_it_is_asked_for(self, shell: Shell) -> None:
        (shell.home / "stack.json").write_text("no JSON")
        done = shell.orders("list", ORDERS_TOKEN=token_of("x"))
        assert done.returncode == 70
        assert b"Traceback" not in done.stderr
        assert b"Traceback" in shell.orders("list", ORDERS_TOKEN=token_of("x"), ORDERS_DEBUG="1").stderr
