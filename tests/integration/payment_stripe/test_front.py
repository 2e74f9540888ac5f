"""Stripe on this machine is as strict as Stripe: what passes here would pass there."""

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.integration.payment_stripe.conftest import Stripe
from tools.stripe.cards import METHODS
from tools.stripe.server import API_KEY, StripeServer

INTENT = {"amount": "1250", "currency": "usd", "payment_method": "pm_card_visa"}

Post = Callable[..., httpx.Response]


@pytest.fixture
def post(stripe: Stripe, key: str) -> Post:
    def post(
        path: str, fields: dict[str, str], *, key: str | None = None, api_key: str = API_KEY
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {api_key}", **({"Idempotency-Key": key} if key else {})}
        return httpx.post(f"{stripe.server.url}/v1/{path}", data=fields, headers=headers, timeout=30)

    return post


def error(response: httpx.Response) -> tuple[int, str, str | None]:
    content: dict[str, Any] = response.json()["error"]
    return response.status_code, content["type"], content.get("code")


def test_the_same_request_under_a_key_is_replayed(post: Post, stripe: Stripe, key: str) -> None:
    fields = {**INTENT, "metadata[key]": key}
    first = post("payment_intents", fields, key=key)
    second = post("payment_intents", fields, key=key)

    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert len(stripe.intents()) == 1


def test_another_request_under_a_key_is_refused(post: Post, key: str) -> None:
    intent = post("payment_intents", INTENT, key=key).json()["id"]

    assert error(post("payment_intents", {**INTENT, "amount": "1251"}, key=key)) == (
        400,
        "idempotency_error",
        None,
    )
    assert error(post(f"payment_intents/{intent}/confirm", {}, key=key)) == (400, "idempotency_error", None)


def test_a_request_under_the_key_of_one_that_is_under_way_is_a_conflict(
    post: Post, stripe: Stripe, key: str
) -> None:
    fields = {**INTENT, "metadata[key]": key}
    stripe.server.fail("held", "POST .*payment_intents$", seconds=20)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, "payment_intents", fields, key=key)
        stripe.await_request("POST .*payment_intents$")
        assert error(post("payment_intents", fields, key=key)) == (
            409,
            "idempotency_error",
            "idempotency_key_in_use",
        )
        stripe.server.release()

    assert post("payment_intents", fields, key=key).json() == first.result().json()


def test_a_failure_is_kept_under_its_key_and_a_refused_parameter_is_not(
    post: Post, stripe: Stripe, key: str
) -> None:
    stripe.server.fail("broken", "POST .*payment_intents$")
    assert post("payment_intents", INTENT, key=key).status_code == 500
    assert post("payment_intents", INTENT, key=key).status_code == 500

    assert post("payment_intents", {**INTENT, "colour": "red"}, key=f"{key}-2").status_code == 400
    assert post("payment_intents", INTENT, key=f"{key}-2").status_code == 200


@pytest.mark.parametrize("name", ["payment_method_types[0]", "confirm", "colour"])
def test_a_parameter_that_this_version_does_not_have_is_refused(post: Post, name: str) -> None:
    response = post("payment_intents", {**INTENT, name: "card"})

    assert response.status_code == 400
    assert response.json()["error"]["param"] == name.partition("[")[0]


@pytest.mark.parametrize("api_key", ["sk_test_of_another", "none"])
def test_another_key_is_refused(post: Post, api_key: str) -> None:
    assert post("payment_intents", INTENT, api_key=api_key).status_code == 401


def test_refunds_never_exceed_the_capture(post: Post) -> None:
    intent = post("payment_intents", INTENT).json()["id"]
    assert error(post("refunds", {"payment_intent": intent}))[0] == 400
    assert post(f"payment_intents/{intent}/confirm", {}).json()["amount_received"] == 1250

    assert post("refunds", {"payment_intent": intent, "amount": "1000"}).json()["amount"] == 1000
    assert post("refunds", {"payment_intent": intent, "amount": "251"}).status_code == 400
    assert post("refunds", {"payment_intent": intent}).json()["amount"] == 250
    assert error(post("refunds", {"payment_intent": intent}))[2] == "charge_already_refunded"


def test_an_intent_is_confirmed_once(post: Post) -> None:
    intent = post("payment_intents", INTENT).json()["id"]
    post(f"payment_intents/{intent}/confirm", {})

    for verb in ("confirm", "cancel"):
        assert error(post(f"payment_intents/{intent}/{verb}", {}))[2] == "payment_intent_unexpected_state"


@pytest.mark.parametrize("method", METHODS)
def test_every_test_method_has_a_payment_intent(post: Post, method: str) -> None:
    intent = post("payment_intents", {**INTENT, "payment_method": method}).json()
    confirmed = post(f"payment_intents/{intent['id']}/confirm", {})

    assert intent["status"] == "requires_confirmation"
    if confirmed.status_code == 402:
        assert error(confirmed)[1] == "card_error"
        assert confirmed.json()["error"]["decline_code"]
        confirmed_intent = confirmed.json()["error"]["payment_intent"]
        assert confirmed_intent["status"] == "requires_payment_method"
    else:
        assert confirmed.json()["status"] in ("succeeded", "requires_action")


def test_a_card_by_its_number_behaves_like_its_method(post: Post) -> None:
    card = {"card[exp_month]": "12", "card[exp_year]": "2034", "card[cvc]": "123"}
    method = post("payment_methods", {"type": "card", "card[number]": "4000000000009995", **card}).json()[
        "id"
    ]
    intent = post("payment_intents", {**INTENT, "payment_method": method}).json()["id"]

    declined = post(f"payment_intents/{intent}/confirm", {}).json()["error"]

    assert declined["decline_code"] == "insufficient_funds"


def test_it_listens_on_this_machine_only() -> None:
    with StripeServer.running() as server:
        (process,) = [
            child
            for child in psutil.Process().children()
            if "tools.stripe" in child.cmdline() and child.is_running()
        ][-1:]
        addresses = {
            connection.laddr.ip for connection in process.net_connections() if connection.status == "LISTEN"
        }
        assert server.url.startswith("http://127.0.0.1:")

    assert addresses == {"127.0.0.1"}


def test_what_it_knows_outlives_it(tmp_path: Path, key: str) -> None:
    def post(url: str) -> Any:
        headers = {"Authorization": f"Bearer {API_KEY}", "Idempotency-Key": key}
        return httpx.post(f"{url}/v1/payment_intents", data=INTENT, headers=headers).json()["id"]

    command = [sys.executable, "-m", "tools.stripe", "--state", str(tmp_path / "state")]
    ids = []
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            ids.append(post(process.stdout.readline().strip()))
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0

    assert ids[0] == ids[1]
