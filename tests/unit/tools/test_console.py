"""Others' text on a terminal: it is shown as it is, whatever it holds, and no character of it is obeyed."""

import ast
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from rich.console import RenderableType
from rich.text import Text
from typer.testing import CliRunner

from tests.unit.tools.chaos.test_report import GOOD
from tests.unit.tools.cli.test_products import product
from tools.audit.executions import Visit
from tools.audit.verdict import Verdict, Violation, promise_table
from tools.bench.report import Report as BenchReport
from tools.cli import __main__ as command_line
from tools.cli import audit, commands, operations, products, webhooks
from tools.cli.operations_tables import execution_table, health_table, order_report
from tools.cli.order_view import history_of
from tools.client.http import ApiClient
from tools.cloud.settings import ROOT
from tools.console import Console, in_one_line, table, table_of, visible
from tools.demo.report import Report as DemoReport
from tools.demo.report import show as show_demo
from tools.errors import LocalCloudError

HOSTILE = [
    ("Poster [/]", "Poster [/]"),
    ("[black]x", "[black]x"),
    ("[link=file:///etc/passwd]here[/link]", "[link=file:///etc/passwd]here[/link]"),
    (":skull: [bold", ":skull: [bold"),
    (r"\[red]y[/red]\\", r"\[red]y[/red]\\"),
    ("\x1b[2Jz", r"\x1b[2Jz"),
    ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
    ("\x9b31mred", r"\x9b31mred"),
    ("cba\u202edef", r"cba\u202edef"),
    ("a\rb\x08c", r"a\rb\x08c"),
    ("\ud800", r"\ud800"),
]
COMMANDS = sorted(ROOT.joinpath("tools").rglob("*.py"))
MARKUP = re.compile(r"\[/?(bold|dim|italic|red|green|yellow|cyan|blue|magenta|/)\b[^\]]*\]|\[/\]")


def printed(*shown: Any, **options: Any) -> str:
    screen = StringIO()
    Console(file=screen, width=250).print(*shown, **options)
    return screen.getvalue()


@pytest.mark.parametrize(("text", "seen"), HOSTILE)
@pytest.mark.parametrize(
    "show",
    [
        lambda text: text,
        lambda text: Text(visible(text), "bold"),
        lambda text: table_of([{"name": text}], {"Name": "name"}),
        lambda text: table(text),
        lambda text: promise_table("Promises", [Verdict("I1", text, 1, (Violation(text, text),))]),
        lambda text: history_of([Visit(text, (text,), succeeded=False)]),
        lambda text: execution_table(execution(text)),
        lambda text: health_table({"queue": {"status": "down", "reason": text, "name": text}}),
        lambda text: order_report(report(text)),
    ],
)
def test_whatever_shows_it_others_text_is_no_markup(
    show: Callable[[str], RenderableType], text: str, seen: str
) -> None:
    # Rich itself leaves these out of a `Text`, and a line break in one is a line break.
    unseen = re.compile(r"\\x0?[78bc]|\\r")
    assert unseen.sub("", seen) in unseen.sub("", printed(show(text)))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800]", printed(show(text)))


def execution(text: str) -> dict[str, Any]:
    visit = {"state": text, "enteredAt": "then", "exitedAt": None, "errors": [text]}
    return {"name": text, "status": "RUNNING", "error": text, "states": [visit]}


def report(text: str) -> dict[str, Any]:
    """What the API returns of an order under review."""
    action = {"action": "ORDER_RESUMED", "operator": text, "note": text, "detail": text, "at": "now"}
    others = dict.fromkeys(("steps", "reservations", "events", "notifications", "repairs"), ())
    order = {
        "orderId": "order-1",
        "status": "NEEDS_REVIEW",
        "failureReason": None,
        "totalAmount": 6500,
        "currency": "USD",
        "correlationId": text,
        "payment": None,
        "actions": [action],
        **others,
    }
    return {
        "order": order,
        "execution": execution(text),
        "gateway": None,
        "actions": ["resume"],
        "operatorActions": [
            {"action": "resume", "isPossible": True, "reason": None},
            {"action": "refund", "isPossible": False, "reason": text},
        ],
        "review": {"reasons": [{"text": text}], "suggested": text},
    }


def test_a_line_break_in_others_text_begins_no_row() -> None:
    assert in_one_line("Poster\n✓ I2 holds\u2028x") == r"Poster\n✓ I2 holds\u2028x"
    assert r"a\nb" in printed(table_of([{"name": "a\nb"}], {"Name": "name"}))


@pytest.mark.parametrize(
    "text", ["Ærø — 100 %", "👩\u200d💻", "می\u200cخواهم", "क्\u200dष", "日本", "a b\tc\nd"]
)
def test_words_of_every_language_are_shown_as_they_are(text: str) -> None:
    assert visible(text) == text


@contextmanager
def api_returning(body: Any) -> Iterator[ApiClient]:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=body))
    with httpx.Client(transport=transport, base_url="http://api/api/v1/") as http:
        yield ApiClient(http)


@pytest.mark.parametrize(("text", "seen"), HOSTILE[:-1])
def test_a_webhook_s_secret_is_shown_whatever_its_url_holds(
    text: str, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = {"webhookId": text, "url": f"https://a.example/{text}", "secret": "whsec_1"}
    monkeypatch.setattr(webhooks, "client", lambda user: api_returning(webhook))

    done = CliRunner().invoke(webhooks.app, ["add", "https://a.example/"])

    assert done.exit_code == 0, done.output
    assert f"https://a.example/{seen}" in done.output
    assert "whsec_1" in done.output


@pytest.mark.parametrize(("text", "seen"), HOSTILE[:-1])
def test_a_list_of_products_shows_every_name(
    text: str, seen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    products.show([product(1, text), product(2, "Mouse")])

    told = capsys.readouterr().out
    assert seen in told
    assert "Mouse" in told


LETTER = {
    "messageId": "{0}",
    "cause": "{0}",
    "explanation": "{0}",
    "errors": ["{0}"],
    "eventId": "{0}",
    "eventType": "{0}",
    "orderId": "{0}",
    "orderStatus": None,
    "correlationId": "{0}",
    "sentAt": "now",
    "received": 3,
}
QUEUE = {
    "name": "{0}",
    "queue": {"visible": 0, "inFlight": 0, "delayed": 0},
    "dlq": {"visible": 0, "inFlight": 0},
    "oldestMessageAgeSeconds": None,
}
ORDER = {
    "orderId": "{0}",
    "status": "{0}",
    "failureReason": "{0}",
    "totalAmount": 1,
    "currency": "USD",
    "updatedAt": "now",
}
EVENT = {"eventId": "{0}", "type": "{0}", "orderId": "{0}", "attempts": 1, "lastError": "{0}"}


def with_text(template: Any, text: str) -> Any:
    match template:
        case dict():
            return {name: with_text(value, text) for name, value in template.items()}
        case list():
            return [with_text(value, text) for value in template]
        case str():
            return template.replace("{0}", text)
        case _:
            return template


@pytest.mark.parametrize(("text", "seen"), HOSTILE[:-1])
@pytest.mark.parametrize(
    ("command", "item"),
    [
        (["dlq", "list"], QUEUE),
        (["dlq", "show", "order-processing"], LETTER),
        (["review", "list"], ORDER),
        (["outbox", "dead"], EVENT),
    ],
)
def test_operators_see_every_message_as_it_is(
    command: list[str], item: Any, text: str, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = {"items": [with_text(item, text)], "nextCursor": None}
    monkeypatch.setattr(operations, "client", lambda default: api_returning(page))

    done = CliRunner().invoke(operations.app, command, env={"COLUMNS": "500"})

    assert done.exit_code == 0, done.output
    assert seen in done.output


@pytest.mark.parametrize(("text", "seen"), HOSTILE)
def test_reports_of_audit_demo_chaos_and_benchmarks_show_every_violation(
    text: str, seen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Verdict("I4", "Stock adds up", 1, (Violation(text, text),), (Violation(text, text),))
    screen = StringIO()
    console = Console(file=screen, width=250)

    audit._show([broken], [text], (text,))
    show_demo(DemoReport((), (broken,), {text: (0, 1)}, (text,)), console)
    replace(GOOD, verdicts=(broken,), under_way=(text,)).show(console)
    measured = BenchReport(console)
    measured.add(text, 1, text)
    console.print(measured.table())

    assert capsys.readouterr().out.count(seen) >= 3
    assert screen.getvalue().count(seen) >= 5


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "[red]x[/red]", "\x1b[31m", '"><img src=x>'])
def test_the_page_of_a_chaos_run_holds_no_tag_of_others(text: str, tmp_path: Path) -> None:
    broken = Verdict("I4", text, 1, (Violation(text, text),))

    replace(GOOD, verdicts=(broken,), under_way=(text,)).write_page(tmp_path / "chaos.html")

    drawn = (tmp_path / "chaos.html").read_text()
    assert "<script>alert" not in drawn
    assert "<img" not in drawn
    assert "\x1b" not in drawn


def test_a_refusal_is_told_without_its_control_characters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**options: Any) -> None:
        raise LocalCloudError("No product \x1b[2J [/] begins so")

    monkeypatch.setattr(command_line, "app", refuse)

    assert commands._run(command_line.app) == 1
    assert r"No product \x1b[2J [/] begins so" in capsys.readouterr().err


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_tool_writes_markup(path: Path) -> None:
    """Not even around its own words: somebody will put another's between them."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Constant(value=str(text)):
                assert not MARKUP.search(text), text
            case ast.keyword(arg="markup", value=ast.Constant(value=True)):
                pytest.fail("markup=True")
            case ast.Attribute(attr="from_markup") | ast.ImportFrom(module="rich.markup"):
                pytest.fail("markup is read here")
            case ast.ImportFrom(module="rich.console", names=names):
                assert path.name == "console.py" or "Console" not in {name.name for name in names}, (
                    "use tools.console.Console"
                )


def test_ids_stay_what_they_are() -> None:
    id = UUID(int=1)
    assert in_one_line(id) == str(id)
