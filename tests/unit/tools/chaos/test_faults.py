"""A fault that waits for a message to Postgres strikes whom it is for, once."""

import pytest

from tools.chaos.faults import ClientMessage, DatabaseFault, DatabaseFaults
from tools.chaos.plan import Fault
from tools.postgres_proxy import Disturbance, Loss, Moment

RELAY = "functions.outbox_relay.handler.handler"
MARK = b"SET status = 'PUBLISHED'"
DISTURBANCE = Disturbance(Loss.BEFORE)


def fault() -> DatabaseFault:
    return DatabaseFault(Fault.KILL_RELAY, {RELAY}, Moment.STATEMENT, lambda _: DISTURBANCE, MARK)


def sent(
    handler: str = RELAY, moment: Moment = Moment.STATEMENT, data: bytes = b"P UPDATE " + MARK
) -> ClientMessage:
    return ClientMessage(1, handler, moment, data)


def test_it_strikes_once() -> None:
    faults = DatabaseFaults()
    faults.add(fault())
    assert faults.waiting == 1
    assert faults.disturbance(sent()) is DISTURBANCE
    assert faults.waiting == 0
    assert faults.disturbance(sent()) is None


@pytest.mark.parametrize(
    "other",
    [sent(handler="functions.notify.handler.handler"), sent(moment=Moment.COMMIT), sent(data=b"P SELECT")],
)
def test_it_lets_everybody_else_pass(other: ClientMessage) -> None:
    faults = DatabaseFaults()
    faults.add(fault())
    assert faults.disturbance(other) is None
    assert faults.waiting == 1


def test_one_that_is_cleared_away_strikes_nobody() -> None:
    faults = DatabaseFaults()
    faults.add(fault())
    faults.clear()
    assert faults.waiting == 0
    assert faults.disturbance(sent()) is None
