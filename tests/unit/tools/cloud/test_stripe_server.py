"""Stripe's fake as a process of the local cloud: started, killed, started again."""

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tools.audit.ledger import Entry, stripe_entries
from tools.cloud import stripe_server
from tools.cloud.ports import free_port, is_free
from tools.cloud.processes import end
from tools.cloud.settings import Settings
from tools.stripe.server import API_KEY


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = Settings.from_environment({"ORDERS_HOME": str(tmp_path)})
    settings.emulator_state.mkdir(parents=True)
    settings.run.mkdir()
    yield settings
    stripe_server.stop(settings)


def charge(settings: Settings, key: str, amount: int = 1250) -> str:
    with httpx.Client(
        base_url=stripe_server.url(settings), headers={"Authorization": f"Bearer {API_KEY}"}
    ) as client:
        intent = client.post(
            "/v1/payment_intents",
            data={
                "amount": str(amount),
                "currency": "usd",
                "payment_method": "pm_card_visa",
                "metadata[key]": key,
            },
        ).raise_for_status()
        intent_id: str = intent.json()["id"]
        client.post(f"/v1/payment_intents/{intent_id}/confirm").raise_for_status()
        return intent_id


def entries(settings: Settings) -> list[Entry]:
    return list(stripe_entries(stripe_server.url(settings), API_KEY))


def test_started_twice_it_is_one(settings: Settings) -> None:
    assert stripe_server.start(settings)
    assert stripe_server.is_running(settings)
    assert not stripe_server.start(settings)

    assert stripe_server.stop(settings)
    assert not stripe_server.is_running(settings)
    assert not stripe_server.stop(settings)


def test_killed_it_comes_back_where_it_was_with_all_payments(settings: Settings) -> None:
    stripe_server.start(settings)
    url = stripe_server.url(settings)
    assert not stripe_server.has_records(settings)
    charge(settings, "order-1")
    known = entries(settings)
    assert [(entry.key, entry.kind, entry.amount) for entry in known] == [("order-1", "CAPTURE", 1250)]

    process = stripe_server.daemon(settings).find()
    assert process is not None
    end(process, signal.SIGKILL, 5)
    assert not stripe_server.is_running(settings)

    assert stripe_server.start(settings)
    assert stripe_server.url(settings) == url
    assert stripe_server.has_records(settings)
    assert entries(settings) == known


def test_a_port_that_somebody_has_taken_meanwhile_is_given_up_for_another(settings: Settings) -> None:
    stripe_server.start(settings)
    stripe_server.stop(settings)
    other = Settings.from_environment({"ORDERS_HOME": str(settings.home / "other")})
    other.emulator_state.mkdir(parents=True)
    other.run.mkdir()
    stripe_server._port_file(other).write_text(stripe_server._port_file(settings).read_text())
    try:
        stripe_server.start(other)
        assert stripe_server.start(settings)
        assert stripe_server.url(settings) != stripe_server.url(other)
    finally:
        stripe_server.stop(other)


def test_it_listens_on_loopback_only(settings: Settings) -> None:
    stripe_server.start(settings)
    process = stripe_server.daemon(settings).find()
    assert process is not None
    assert {connection.laddr[0] for connection in process.net_connections("inet")} == {"127.0.0.1"}


def test_a_port_that_is_free_is_told_as_free() -> None:
    assert is_free(free_port())
