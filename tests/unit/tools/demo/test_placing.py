"""How the scenarios are played, against an API that is a few lines of Python."""

import asyncio
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import pytest

from orders.domain import OrderStatus
from orders.ids import uuid7
from tools.client.http import ApiError, Problem
from tools.client.orders_client import Accepted, NewOrder, NextAction, OrdersClient, Progress
from tools.cloud import catalogue
from tools.demo import placing
from tools.demo.placing import Run, SignedIn, play
from tools.demo.scenarios import scenarios

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACTION = NextAction(type="authenticate", provider="simulator", client_secret="secret", expires_at=NOW)


class Api:
    """Accepts orders, once for each key, and ends each when its status has been asked for `looks` times."""

    def __init__(self, looks: dict[str, int], default_looks: int = 1) -> None:
        self._looks = looks
        self._default = default_looks
        self.posts: list[tuple[NewOrder, str]] = []
        self.cancelled: list[UUID] = []
        self.refunded: list[tuple[UUID, dict[UUID, int]]] = []
        self._orders: dict[str, tuple[Accepted, str]] = {}
        self._asked: dict[UUID, int] = {}
        self.acted: list[UUID] = []
        """Orders whose customer has acted."""

    async def place(self, order: NewOrder, key: str) -> Accepted:
        self.posts.append((order, key))
        await asyncio.sleep(0)
        if key not in self._orders:
            accepted = Accepted(
                order_id=uuid7(),
                status=OrderStatus.PENDING,
                total_amount=1,
                currency=order.currency,
                created_at=NOW,
            )
            self._orders[key] = (accepted, order.payment_method)
        return self._orders[key][0]

    async def cancel(self, order_id: UUID) -> None:
        self.cancelled.append(order_id)

    async def refund(self, order_id: UUID, units: dict[UUID, int], reason: str, key: str) -> None:
        self.refunded.append((order_id, units))

    async def progress(self, order_id: UUID) -> Progress:
        (method,) = (method for order, method in self._orders.values() if order.order_id == order_id)
        self._asked[order_id] = self._asked.get(order_id, 0) + 1
        is_over = self._asked[order_id] >= self._looks.get(method, self._default)
        waits = method == "pm_card_requires_action" and order_id not in self.acted
        return Progress(
            order_id=order_id,
            status=OrderStatus.CONFIRMED if is_over and not waits else OrderStatus.PROCESSING,
            progress=0,
            steps=(),
            next_action=ACTION if waits else None,
        )


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(placing, "PATIENCE_SECONDS", 0.2)


def play_with(api: Api) -> list[Run]:
    """All scenarios, in the order in which they were over at last."""
    over: list[Run] = []
    runs = [Run(scenario) for scenario in scenarios()]
    client = cast(OrdersClient, api)
    clients = {user: SignedIn(client, f"{user}@example.com") for user in ("customer", "other", "admin")}
    asyncio.run(play(runs, clients, over.append, api.acted.append))
    assert [run for run in runs if run.is_over] == [run for run in runs if run in over]
    return over


def test_every_scenario_is_played_and_every_order_followed_to_its_end() -> None:
    over = play_with(Api({}))
    assert len(over) == len(scenarios())
    for run in over:
        assert len(run.posted) == len(run.scenario.posts)
        assert all(order.milliseconds is not None for order in run.orders.values())


def test_posts_with_one_key_share_it_and_all_others_have_their_own() -> None:
    api = Api({})
    by_name = {run.scenario.name: run for run in play_with(api)}
    assert len(by_name["20 posts with one key"].orders) == 1
    assert len(by_name["8 race for the last 5"].orders) == 8
    keys = [key for _, key in api.posts]
    assert len(set(keys)) == len(keys) - 19 - 1  # twenty posts share one key, and two another


def test_mails_go_to_the_account_s_own_address_which_needs_no_confirmation() -> None:
    api = Api({})
    play_with(api)
    assert {order.contact.email for order, _ in api.posts} <= {"customer@example.com", "other@example.com"}


def test_the_customer_who_cancels_cancels_their_order_and_nobody_else_does() -> None:
    api = Api({})
    by_name = {run.scenario.name: run for run in play_with(api)}
    assert api.cancelled == list(by_name["Customer cancels"].orders)


def test_a_customer_who_must_act_does_so_once() -> None:
    api = Api({})
    (run,) = (run for run in play_with(api) if run.scenario.name == "Customer must act")
    assert api.acted == [*run.orders]


def test_the_unit_that_is_returned_is_refunded_once_its_order_is_confirmed() -> None:
    api = Api({})
    (run,) = (run for run in play_with(api) if run.scenario.name == "One unit returned")
    assert api.refunded == [(order_id, {catalogue.MOUSE.id: 1}) for order_id in run.orders]


def test_slow_scenarios_go_on_while_the_others_are_played() -> None:
    over = [run.scenario.name for run in play_with(Api({"pm_card_down": 60}))]
    assert over[-1] == "Gateway down"
    assert over.index("Charged, then timed out") < over.index("Two products")


def test_nothing_further_is_begun_once_an_order_does_not_end() -> None:
    never = 10**9
    over = play_with(Api({"pm_card_declined": never}))
    names = [run.scenario.name for run in over]
    assert "Card declined" in names
    assert "Suspected fraud" not in names
    (stuck,) = [run for run in over if run.is_stuck]
    assert stuck.scenario.name == "Card declined"


def test_a_pipeline_that_ends_nothing_is_given_up_after_the_slow_scenarios() -> None:
    over = play_with(Api({}, default_looks=10**9))
    assert {run.scenario.name for run in over} == {
        "Flaky gateway",
        "Charged, then timed out",
        "Customer cancels",
        "Gateway down",
    }


def test_a_status_that_cannot_be_read_for_a_while_ends_nothing() -> None:
    class Shaky(Api):
        failures = 3

        async def progress(self, order_id: UUID) -> Progress:
            if self.failures:
                self.failures -= 1
                raise ApiError(500, Problem(title="Something went wrong"))
            return await super().progress(order_id)

    assert not any(order.trouble for run in play_with(Shaky({})) for order in run.orders.values())
