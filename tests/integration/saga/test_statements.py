"""What each step costs in statements and round trips: a network makes every one of them a wait."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from functions.saga_steps import payment
from orders.db import Credentials, Database
from payment_simulator.gateway import SimulatedGateway
from tests.integration.saga.pipeline import CHAIN, FORWARD, Pipeline
from tests.support.factories import TRACE
from tests.support.payments import BEHAVIOUR
from tools.round_trips import Conversation, RoundTripCounter

# (statements, round trips); a transaction of several statements adds BEGIN and COMMIT.
COSTS = {
    "VerifyStock": (3, 5),
    "ReserveInventory": (3, 5),
    # The intent, alone, before the gateway is asked; then its answer.
    "ProcessPayment": (4, 6),
    "ConfirmReservation": (2, 4),
    "SendConfirmation": (2, 4),
    "CompleteOrder": (2, 4),
    "RestoreInventory": (4, 6),
    "RefundPayment": (6, 10),
    "ReleaseReservation": (4, 6),
    "SendCancellation": (4, 6),
    "MarkCancelled": (4, 6),
}


@pytest.fixture
def counter(
    pipeline: Pipeline,
    shared_credentials: Credentials,
    process: Callable[[], Database],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[RoundTripCounter]:
    """Between the handlers and Postgres. The gateway is elsewhere: its cost is not ours."""
    with RoundTripCounter.to(shared_credentials) as counter:
        overheard = Database(lambda: counter.credentials)
        # The connection is made here: its start-up is not a step's cost.
        overheard.transact(lambda connection: connection.execute(text("SELECT 1")))
        Pipeline(overheard, SimulatedGateway(process(), BEHAVIOUR)).deploy(monkeypatch)
        yield counter
        overheard.engine.dispose()


def cost(conversation: Conversation) -> tuple[int, int]:
    return len(conversation.work), conversation.round_trips


@pytest.mark.parametrize("step", COSTS)
def test_the_statements_and_round_trips_of_a_step(
    pipeline: Pipeline, counter: RoundTripCounter, step: str
) -> None:
    order = pipeline.order()
    if step in FORWARD:
        order.run_until(step)
    else:
        order.run_until("CompleteOrder")
        for compensation in CHAIN[: CHAIN.index(step)]:
            order.call(compensation)

    with counter.listening() as conversation:
        order.call(step)

    assert cost(conversation) == COSTS[step]


def test_a_repeated_step_costs_no_more_than_the_first_one(
    pipeline: Pipeline, counter: RoundTripCounter
) -> None:
    order = pipeline.order()
    order.run()

    for step in FORWARD:
        with counter.listening() as conversation:
            order.call(step)
        statements, round_trips = cost(conversation)
        assert statements <= COSTS[step][0]
        assert round_trips <= COSTS[step][1]


def test_no_transaction_of_ours_is_open_while_the_gateway_is_asked(pipeline: Pipeline) -> None:
    order = pipeline.order("pm_card_flaky")
    order.run_until("ProcessPayment")
    # It has the process's only connection: were it taken, the gateway would wait for it in vain.
    shared = SimulatedGateway(pipeline.database, BEHAVIOUR)

    for _ in range(2):
        with pytest.raises(Exception, match="failed technically"):
            payment.process(pipeline.database, shared, order.order_id, TRACE)
    assert payment.process(pipeline.database, shared, order.order_id, TRACE) == "CAPTURED"
    assert payment.refund(pipeline.database, shared, order.order_id, TRACE) == "REFUNDED"
