"""A cold start is mostly imports, so what a handler imports is kept as small as it is today.

Each handler is imported in a new process, as Lambda does: a fork of one that has imported nothing but PRELOADED. The
SDK (boto3: 150 ms) is imported where its first call is made, the template engine where the first message is rendered,
the validator of addresses where the first uncommon one comes, SQLAlchemy only by functions with a database, Alembic
only by the one that migrates, the payment provider only by those that call it.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from orders.events import Queue
from tests.conftest import FUNCTION_ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
HANDLERS = sorted(handler.parent.name for handler in (ROOT / "functions").glob("*/handler.py"))

# The variables of every function; each reads those it declares.
SETTINGS = {
    "QUEUE_URLS": json.dumps(dict.fromkeys(Queue, "https://sqs.us-east-1.amazonaws.com/000000000000/queue")),
    "ORDERS_PER_MINUTE": "60",
    "CANCELLATION_WINDOW_MINUTES": "30",
    "DLQ_URLS": json.dumps(
        dict.fromkeys(Queue, "https://sqs.us-east-1.amazonaws.com/000000000000/queue-dlq")
    ),
    "RELAY_WINDOW_SECONDS": "61",
    "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:orders-test-order-saga",
    "SENDER_EMAIL": "orders@example.com",
    "MAIL_CONFIGURATION_SET": "orders-test-mails",
    "SMS_SENDER_ID": "Orders",
    "SMS_ORIGINATION_NUMBER": "",
    "RESERVATION_TTL_SECONDS": "900",
    "SIGNING_SECRET_ID": "orders-test-payment-webhook-secret",
    "QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/queue",
    "WEBHOOK_KEY_ID": "orders-test-webhook-key",
    "WEBHOOK_RETRY_SECONDS": "[1]",
    "REDELIVERIES_PER_HOUR": "60",
    "CODE_KEY_ID": "orders-test-code-key",
    "CODE_LIMITS": '{"recipient": 5, "user": 10, "stage": 100}',
    "MESSAGE_LIMITS": "{}",
    "USER_POOL_ID": "us-east-1_test",
}

PRELOADED = ("aws_lambda_powertools", "aws_lambda_powertools.metrics", "pydantic.main")
"""Every handler imports them."""

IMPORTER = """
import importlib, json, os, sys, traceback

for module in sys.argv[1:]:
    importlib.import_module(module)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        module, settings = json.loads(line)
        os.environ |= settings
        try:
            importlib.import_module(module)
            imported = [*sys.modules]
        except BaseException:
            imported = traceback.format_exc()
        print(json.dumps(imported), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
"""For each line with a module and settings, a fork imports the module and prints all that it has imported then."""

# Powertools itself imports `botocore`, which is next to nothing; a session or a client is what costs.
SDK = {"boto3", "botocore.session", "botocore.client"}
TEMPLATES = {"jinja2"}
ADDRESSES = {"email_validator"}
MIGRATIONS = {"alembic"}
DATABASE = {"sqlalchemy", "pg8000"}
ROUTING = {"aws_lambda_powertools.event_handler"}

STRIPE = (("PAYMENT_PROVIDER", "stripe"), ("STRIPE_API_KEY_SECRET_ID", "orders-test-stripe-api-key"))

ROUTED = {
    "api_docs",
    "cancel_order",
    "console",
    "create_order",
    "manage_catalogue",
    "operations",
    "payment_webhooks",
    "read_orders",
    "recipients",
    "webhooks",
}
WITHOUT_DATABASE = {"api_docs", "console", "payment_webhooks"}
CALL_PAYMENT_PROVIDER = {
    "maintenance",
    "operations",
    "payment_events",
    "provider_events",
    "refund_steps",
    "saga_steps",
}


def imported_by(package: str) -> frozenset[str]:
    """The modules that a process has loaded once it has imported the function's handler."""
    return imported_with(f"functions.{package}.handler")


@cache
def imported_with(module: str, *settings: tuple[str, str]) -> frozenset[str]:
    """The modules that a process has loaded once it has imported this one."""
    process = importer()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([module, dict(settings)]) + "\n")
    process.stdin.flush()
    imported = json.loads(process.stdout.readline())
    assert isinstance(imported, list), imported
    return frozenset(imported)


@cache
def importer() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", IMPORTER, *PRELOADED],
        env={
            **FUNCTION_ENVIRONMENT,
            **SETTINGS,
            "PYTHONPATH": ":".join(map(str, [ROOT, *sorted(ROOT.glob("layers/*/python"))])),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module", autouse=True)
def _importer_ends() -> Iterator[None]:
    yield
    with importer() as process:
        assert process.stdin is not None
        process.stdin.close()
    importer.cache_clear()


def test_what_is_imported_for_all_handlers_hides_nothing_that_one_must_not_import() -> None:
    """Whatever of these is among the modules of a handler was imported by the handler."""
    imported = imported_with("json")

    assert not imported & (
        SDK | TEMPLATES | ADDRESSES | MIGRATIONS | DATABASE | ROUTING | {"requests", "stripe"}
    )
    assert not [name for name in imported if name.partition(".")[0] in {"functions", "orders"}]
    assert not [name for name in imported if name.startswith("payment_")]


def test_there_are_handlers_to_look_at() -> None:
    assert {"create_order", "outbox_relay", "saga_steps", "start_saga", "notify"} <= set(HANDLERS)


@pytest.mark.parametrize("package", HANDLERS)
def test_no_handler_imports_the_sdk_before_it_needs_it(package: str) -> None:
    assert not imported_by(package) & SDK


@pytest.mark.parametrize("package", HANDLERS)
def test_no_handler_imports_the_template_engine_before_it_needs_it(package: str) -> None:
    assert not imported_by(package) & TEMPLATES


@pytest.mark.parametrize("package", HANDLERS)
def test_no_handler_imports_the_validator_of_addresses_before_it_needs_it(package: str) -> None:
    assert not imported_by(package) & ADDRESSES


@pytest.mark.parametrize("package", [name for name in HANDLERS if name != "migrate"])
def test_only_the_migration_imports_alembic(package: str) -> None:
    assert not imported_by(package) & MIGRATIONS


@pytest.mark.parametrize("package", sorted(WITHOUT_DATABASE))
def test_a_function_without_a_database_imports_no_driver(package: str) -> None:
    assert not imported_by(package) & DATABASE


@pytest.mark.parametrize("package", [name for name in HANDLERS if name not in ROUTED])
def test_only_the_api_imports_routing(package: str) -> None:
    assert not imported_by(package) & ROUTING


@pytest.mark.parametrize("package", HANDLERS)
def test_only_who_calls_the_payment_provider_imports_it(package: str) -> None:
    assert ("payment_simulator.gateway" in imported_by(package)) == (package in CALL_PAYMENT_PROVIDER)


@pytest.mark.parametrize("package", [name for name in HANDLERS if name != "migrate"])
def test_stripes_library_is_imported_with_the_first_call_of_it(package: str) -> None:
    """It takes longer than all the rest of a cold start."""
    imported = imported_with(f"functions.{package}.handler", *STRIPE)

    assert ("payment_stripe.gateway" in imported) == (package in CALL_PAYMENT_PROVIDER)
    assert not imported & {"stripe", "requests", "payment_simulator"}


def test_the_payment_provider_is_imported_when_it_is_asked_for_and_not_before() -> None:
    imported = imported_with("orders.payments.settings")

    assert "orders.payments.provider" in imported
    assert not [module for module in imported if module.startswith("payment_")]
