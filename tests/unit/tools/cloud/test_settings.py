from pathlib import Path

import pytest

from infra.assets import payment_providers
from tools.cloud.settings import PAYMENT_PROVIDERS, ROOT, Settings
from tools.errors import LocalCloudError


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "ORDERS_HOME",
        "ORDERS_PORT",
        "EMULATOR",
        "PAYMENT_PROVIDER",
        "AWS_ENDPOINT_URL",
        "LOCALSTACK_HOST",
    ):
        monkeypatch.delenv(name, raising=False)


def test_by_default_it_lives_in_the_project() -> None:
    settings = Settings.from_environment()
    assert settings.home == ROOT / ".local"
    assert settings.endpoint_url == "http://127.0.0.1:4566"


def test_another_home_and_port_make_another_cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORDERS_HOME", str(tmp_path))
    monkeypatch.setenv("ORDERS_PORT", "4577")
    settings = Settings.from_environment()
    assert settings.home == tmp_path
    assert settings.endpoint_url == "http://127.0.0.1:4577"
    assert settings.port == 4577


@pytest.mark.parametrize("port", ["no", "0", "65536", "-1", "4566.5"])
def test_a_port_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("ORDERS_PORT", port)
    with pytest.raises(LocalCloudError, match="ORDERS_PORT"):
        Settings.from_environment()


def test_localstack_is_used_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMULATOR", "localstack")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localstack.example:4566")
    settings = Settings.from_environment()
    assert settings.endpoint_url == "http://localstack.example:4566"
    assert settings.port is None, "it is not ours to start"


def test_an_unknown_emulator_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMULATOR", "cloud9")
    with pytest.raises(LocalCloudError, match="cloud9"):
        Settings.from_environment()


def test_payments_go_through_the_simulator_unless_another_provider_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Settings.from_environment().payment_provider == "simulator"
    monkeypatch.setenv("PAYMENT_PROVIDER", "stripe")
    assert Settings.from_environment().payment_provider == "stripe"


def test_every_payment_provider_can_be_chosen_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(PAYMENT_PROVIDERS) == payment_providers()
    monkeypatch.setenv("PAYMENT_PROVIDER", "paypal")
    with pytest.raises(LocalCloudError, match="'paypal'; it can be simulator or stripe"):
        Settings.from_environment()


def test_no_real_account_can_be_reached_by_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "https://sqs.example")
    environment = Settings.from_environment().aws_environment()
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_SQS"} & environment.keys()
    assert environment["AWS_ACCESS_KEY_ID"] == "test"
    assert environment["AWS_ENDPOINT_URL"] == environment["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:4566"
