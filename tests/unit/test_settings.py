"""Trap T21: a function whose settings are incomplete does not start; nothing has a default that is a secret."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from functions.create_order.settings import Settings as CreateOrderSettings
from functions.migrate.settings import Settings as MigrateSettings
from orders.payments.provider import PaymentProvider
from orders.payments.settings import PaymentSettings
from orders.settings import DatabaseSettings, FunctionSettings

SOURCES = [
    path for folder in ("functions", "layers") for path in (Path(__file__).parents[2] / folder).rglob("*.py")
]


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE", "prod")
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    monkeypatch.setenv("DATABASE_SECRET_ID", "arn:aws:secretsmanager:eu-west-1:000000000000:secret:orders")
    monkeypatch.setenv("DATABASE_HOST", "proxy.example")

    settings = DatabaseSettings.from_environment()

    assert settings.model_dump() == {
        "stage": "prod",
        "log_level": "WARNING",
        "database_secret_id": "arn:aws:secretsmanager:eu-west-1:000000000000:secret:orders",
        "database_host": "proxy.example",
    }


@pytest.mark.parametrize("settings", [CreateOrderSettings, DatabaseSettings, MigrateSettings])
@pytest.mark.parametrize("name", ["STAGE", "LOG_LEVEL", "DATABASE_SECRET_ID"])
def test_a_function_does_not_start_without_one_and_says_which(
    monkeypatch: pytest.MonkeyPatch, settings: type[FunctionSettings], name: str
) -> None:
    monkeypatch.delenv(name)

    with pytest.raises(ValidationError, match=name.lower()):
        settings.from_environment()


@pytest.mark.parametrize("settings", [MigrateSettings, PaymentSettings])
@pytest.mark.parametrize("provider", ["paypal", "", "SIMULATOR"])
def test_an_unknown_payment_provider_is_refused_with_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch, settings: type[FunctionSettings], provider: str
) -> None:
    monkeypatch.setenv("PAYMENT_PROVIDER", provider)

    with pytest.raises(ValidationError) as refused:
        settings.from_environment()

    (error,) = refused.value.errors()
    assert error["loc"] == ("payment_provider",)
    assert error["input"] == provider
    assert all(repr(str(known)) in error["msg"] for known in PaymentProvider)


def test_the_proxy_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_HOST", raising=False)

    assert DatabaseSettings.from_environment().database_host is None


def test_what_is_set_stays_set() -> None:
    with pytest.raises(ValidationError):
        FunctionSettings.from_environment().stage = "prod"  # type: ignore[misc]


def test_what_else_is_in_the_environment_is_nobodys_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "s3cr3t")

    assert "s3cr3t" not in repr(DatabaseSettings.from_environment())


def test_nothing_else_reads_the_environment() -> None:
    readers = {path.name for path in SOURCES if re.search(r"os\.environ|os\.getenv", path.read_text())}

    # The trace of an invocation: the runtime sets it anew for each.
    assert readers == {"settings.py", "tracing.py"}
