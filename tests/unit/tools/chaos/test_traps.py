"""A trap strikes whom it was set for, once."""

import pytest

from tools.chaos.plan import Fault, Loss, Moment
from tools.chaos.traps import Trap, Traps
from tools.chaos.wire import Blow, Utterance

RELAY = "functions.outbox_relay.handler.handler"
MARK = b"SET status = 'PUBLISHED'"
BLOW = Blow(Loss.BEFORE, lambda: None, cuts=True)


def trap() -> Trap:
    return Trap(Fault.KILL_RELAY, {RELAY}, Moment.STATEMENT, lambda _: BLOW, MARK)


def said(
    handler: str = RELAY, moment: Moment = Moment.STATEMENT, data: bytes = b"P UPDATE " + MARK
) -> Utterance:
    return Utterance(1, handler, moment, data)


def test_it_strikes_once() -> None:
    traps = Traps()
    traps.set(trap())
    assert traps.armed == 1
    assert traps.ambush(said()) is BLOW
    assert traps.armed == 0
    assert traps.ambush(said()) is None


@pytest.mark.parametrize(
    "other",
    [said(handler="functions.notify.handler.handler"), said(moment=Moment.COMMIT), said(data=b"P SELECT")],
)
def test_it_lets_everybody_else_pass(other: Utterance) -> None:
    traps = Traps()
    traps.set(trap())
    assert traps.ambush(other) is None
    assert traps.armed == 1


def test_one_that_is_disarmed_strikes_nobody() -> None:
    traps = Traps()
    traps.set(trap())
    assert [unsprung.fault for unsprung in traps.disarm()] == [Fault.KILL_RELAY]
    assert traps.ambush(said()) is None
