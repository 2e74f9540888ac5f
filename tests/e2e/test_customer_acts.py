"""Payments that need their customer, on the deployed state machine: it waits, and goes on when they have acted."""

import json
import subprocess
from typing import Any

import pytest

from tests.e2e.conftest import Cloud
from tests.e2e.test_api import ORDER, Caller, await_end, tokens
from tools.cloud.settings import ROOT
from tools.waiting import wait_until

REFUSED = 3
WAITING: dict[str, Any] = {**ORDER, "paymentMethod": "pm_card_requires_action"}


@pytest.fixture
def customer(running_cloud: Cloud) -> Caller:
    return Caller(running_cloud.stack["api_url"], tokens(running_cloud, "customer")["AccessToken"])


def act(cloud: Cloud, command: str, order_id: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "bin" / "orders", "payment", command, order_id, "--json"],
        env=cloud.environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "status", "reason"),
    [("complete", "CONFIRMED", None), ("fail", "CANCELLED", "PAYMENT_DECLINED")],
)
def test_an_order_waits_for_its_customer_and_ends_as_they_act(
    running_cloud: Cloud, customer: Caller, command: str, status: str, reason: str | None
) -> None:
    order_id = customer.post(WAITING).body["orderId"]
    path = f"/orders/{order_id}/status"
    assert wait_until(lambda: customer.get(path).body["nextAction"] is not None, 120, every=0.2)
    action = customer.get(path).body["nextAction"]
    assert (action["type"], action["provider"]) == ("authenticate", "simulator")

    acted = act(running_cloud, command, order_id)

    assert acted.returncode == 0, acted.stderr
    assert json.loads(acted.stdout)["orderId"] == order_id
    ended = await_end(customer, order_id)
    assert (ended["status"], ended["failureReason"], ended["nextAction"]) == (status, reason, None)
    again = act(running_cloud, command, order_id)
    assert again.returncode == REFUSED
    assert "does not wait for its customer" in again.stderr
