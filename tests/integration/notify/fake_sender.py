"""What the tests of notify share: a sender with behaviour, and the state that deliveries leave."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from functions.notify.limits import ChannelLimits
from functions.notify.notify import Permission
from functions.notify.rendering import RenderedMessage
from orders.db import Database
from orders.domain import Channel
from tests.support.factories import ALICE, EMAIL, execute, rows


class Killed(BaseException):
    """The process ends here. Not an Exception, so nothing on the way can take it for a failure."""


@dataclass
class FakeSender:
    """Sends to a list. `before` and `after` run around the sending, and may raise."""

    sent: list[RenderedMessage] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None

    def send(self, message: RenderedMessage) -> str:
        self.before()
        self.sent.append(message)
        self.after()
        return f"provider-{len(self.sent)}"


PLENTY = ChannelLimits(recipient=100_000, user=100_000, stage=1_000_000, unconfirmed=100_000)


@dataclass
class FakeAccounts:
    """The verified addresses of accounts. `ask` runs with each question, and may raise."""

    addresses: dict[str, str] = field(default_factory=lambda: {ALICE: EMAIL})
    ask: Callable[[], None] = lambda: None
    asked: list[str] = field(default_factory=list)

    def verified_address(self, user_id: str) -> str | None:
        self.asked.append(user_id)
        self.ask()
        return self.addresses.get(user_id)


def permission(
    accounts: FakeAccounts | None = None, mail: ChannelLimits = PLENTY, text: ChannelLimits = PLENTY
) -> Permission:
    """Anybody may get nearly anything, unless told otherwise."""
    return Permission({Channel.EMAIL: mail, Channel.SMS: text}, accounts or FakeAccounts())


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def notification(database: Database, order_id: UUID) -> dict[str, Any]:
    """The one notification of the order."""
    (found,) = rows(database, "SELECT * FROM notifications WHERE order_id = :order_id", order_id=order_id)
    return found


def processed(database: Database) -> list[UUID]:
    """The events that notify has settled."""
    return [
        found["event_id"] for found in rows(database, "SELECT event_id FROM inbox WHERE consumer = 'notify'")
    ]


def end_leases(database: Database) -> None:
    """Lets the time pass that leases last."""
    execute(database, "UPDATE notifications SET lease_until = now() - interval '1 second'")
