"""A message goes only to a recipient who has agreed to get it, and only so many of them an hour."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection

from functions.create_order.place_order import place_order
from functions.notify.limits import ACCOUNT_HOURS, ASK_AGAIN_SECONDS, ChannelLimits, remember
from functions.notify.notification_rows import NotificationClaim, NotificationToSend
from functions.notify.notify import Permission, notify
from functions.notify.sending import NotSent
from orders.allowances import Allowance, mailbox, spend
from orders.db import Credentials, Database
from orders.domain import Channel, Notification, SuppressionReason
from orders.errors import ServiceUnavailable
from orders.events import NotificationRequested
from orders.ids import uuid7
from orders.observability import write_metrics
from tests.integration.notify.fake_sender import (
    FakeAccounts,
    FakeSender,
    notification,
    permission,
    processed,
    raising,
)
from tests.support.consumers import notification_requested
from tests.support.factories import ALICE, EMAIL, PHONE, add_product, execute, order_body, order_request, rows
from tests.support.written import recorded

STRANGER = "stranger@example.com"
STRANGERS_PHONE = "+34600999999"
STRICT = ChannelLimits(recipient=5, user=10, stage=1000, unconfirmed=0)
"""As in production, but for the numbers."""
NOT_CONFIRMED = "RECIPIENT_NOT_CONFIRMED"


@pytest.fixture
def sender() -> FakeSender:
    return FakeSender()


@pytest.fixture
def product_id(database: Database) -> UUID:
    return add_product(database, unit_price=1).product_id


def ordered(
    database: Database, product_id: UUID, email: str, *, user_id: str = ALICE, phone: str | None = None
) -> UUID:
    contact = {"email": email, **({"phone": phone} if phone else {})}
    body = order_body([(product_id, 1)], contact=contact, paymentMethod="pm_card_declined")
    return place_order(database, order_request(body, user_id=user_id)).order_id


def tell(
    database: Database,
    sender: FakeSender,
    order_id: UUID,
    allowed: Permission,
    channel: Channel = Channel.EMAIL,
) -> dict[str, Any]:
    """Tells the customer that the payment failed; answers the notification."""
    event = notification_requested(order_id, Notification.PAYMENT_FAILED, channel)
    payload = event.payload()
    assert isinstance(payload, NotificationRequested)
    notify(database, sender, allowed, event, payload)
    (row,) = rows(
        database,
        "SELECT * FROM notifications WHERE (order_id, channel) = (:id, :channel)",
        id=order_id,
        channel=channel,
    )
    return row


def add_recipient(
    database: Database, address: str, *, user_id: str = ALICE, channel: Channel = Channel.EMAIL
) -> UUID:
    """One that was confirmed by a code."""
    recipient_id = uuid7()
    execute(
        database,
        "INSERT INTO recipients "
        "(id, user_id, channel, address, locale, confirmed_at, code_expires_at, key, fingerprint) "
        "VALUES (:id, :user_id, :channel, lower(:address), 'en', now(), now(), :key, '')",
        id=recipient_id,
        user_id=user_id,
        channel=channel,
        address=address,
        key=str(recipient_id),
    )
    return recipient_id


def statuses(database: Database) -> list[tuple[str, str | None]]:
    found = rows(database, "SELECT status, error FROM notifications ORDER BY created_at, id")
    return [(row["status"], row["error"]) for row in found]


def test_twenty_declined_orders_send_nothing_to_a_stranger(
    database: Database, sender: FakeSender, product_id: UUID
) -> None:
    strict = permission(mail=STRICT, text=STRICT)
    orders = [ordered(database, product_id, STRANGER, phone=STRANGERS_PHONE) for _ in range(20)]
    with recorded() as written:
        for order_id in orders:
            for channel in Channel:
                told = tell(database, sender, order_id, strict, channel)
                assert (told["status"], told["error"], told["sent_at"]) == ("SUPPRESSED", NOT_CONFIRMED, None)
        write_metrics()
    assert sender.sent == []
    assert len(processed(database)) == 40
    assert written.metrics == {"NotificationsSuppressed": 40}
    lines = written.logs("Notification was suppressed")
    assert len(lines) == 40
    assert {(line["level"], line["reason"]) for line in lines} == {("WARNING", NOT_CONFIRMED)}
    for address in (STRANGER, STRANGERS_PHONE):
        assert address not in written.text


def test_twenty_users_send_no_more_to_one_stranger_than_one_does(
    database: Database, sender: FakeSender, product_id: UUID
) -> None:
    local = permission(mail=STRICT.model_copy(update={"unconfirmed": 5}))
    for number in range(20):
        order_id = ordered(database, product_id, STRANGER, user_id=f"user-{number}")
        tell(database, sender, order_id, local)
    assert [message.to for message in sender.sent] == [STRANGER] * 5
    assert statuses(database)[5:] == [("SUPPRESSED", NOT_CONFIRMED)] * 15


def test_one_user_sends_to_no_stranger_however_many_there_are(
    database: Database, sender: FakeSender, product_id: UUID
) -> None:
    accounts = FakeAccounts()
    strict = permission(accounts, STRICT)
    for number in range(20):
        tell(database, sender, ordered(database, product_id, f"stranger-{number}@example.com"), strict)
    assert sender.sent == []
    assert set(statuses(database)) == {("SUPPRESSED", NOT_CONFIRMED)}
    # Nor does Cognito pay for it.
    assert accounts.asked == [ALICE]
    # What was not sent has used up nothing: the user's own mails still come.
    assert tell(database, sender, ordered(database, product_id, EMAIL), strict)["status"] == "SENT"


@pytest.mark.parametrize(
    "spelling",
    [STRANGER.upper(), "Stranger+1@example.com", "stranger+news@Example.COM"],
)
def test_another_spelling_of_a_mailbox_is_no_other_recipient(
    database: Database, sender: FakeSender, product_id: UUID, spelling: str
) -> None:
    local = permission(mail=STRICT.model_copy(update={"unconfirmed": 1}))
    assert tell(database, sender, ordered(database, product_id, STRANGER), local)["status"] == "SENT"
    told = tell(database, sender, ordered(database, product_id, spelling), local)
    assert (told["status"], told["error"]) == ("SUPPRESSED", NOT_CONFIRMED)


def test_the_dots_of_a_gmail_address_make_no_other_mailbox() -> None:
    one, other = ("a.d.a+x@googlemail.com", "ADA@gmail.com")
    assert mailbox(Channel.EMAIL, one) == mailbox(Channel.EMAIL, other)
    assert mailbox(Channel.EMAIL, "a.da@example.com") != mailbox(Channel.EMAIL, "ada@example.com")
    assert mailbox(Channel.EMAIL, "+@example.com") != mailbox(Channel.EMAIL, "+1@example.com")


@pytest.mark.parametrize("spelling", [EMAIL, EMAIL.upper()])
def test_the_account_s_verified_address_gets_its_mails(
    database: Database, sender: FakeSender, product_id: UUID, spelling: str
) -> None:
    told = tell(database, sender, ordered(database, product_id, spelling), permission(mail=STRICT))
    assert told["status"] == "SENT"
    local, _, domain = spelling.partition("@")
    assert [message.to for message in sender.sent] == [f"{local}@{domain.lower()}"]


@pytest.mark.parametrize("spelling", ["friend@example.com", "Friend@Example.com"])
def test_an_address_that_was_confirmed_by_a_code_gets_its_mails(
    database: Database, sender: FakeSender, product_id: UUID, spelling: str
) -> None:
    add_recipient(database, "friend@example.com")
    told = tell(database, sender, ordered(database, product_id, spelling), permission(mail=STRICT))
    assert told["status"] == "SENT"


def test_a_telephone_that_was_confirmed_by_a_code_gets_its_texts(
    database: Database, sender: FakeSender, product_id: UUID
) -> None:
    add_recipient(database, PHONE, channel=Channel.SMS)
    strict = permission(text=STRICT)
    for phone, status in ((PHONE, "SENT"), (STRANGERS_PHONE, "SUPPRESSED")):
        order_id = ordered(database, product_id, EMAIL, phone=phone)
        assert tell(database, sender, order_id, strict, Channel.SMS)["status"] == status


def test_what_one_user_confirmed_is_confirmed_for_nobody_else(
    database: Database, sender: FakeSender, product_id: UUID
) -> None:
    add_recipient(database, "friend@example.com", user_id="somebody-else")
    told = tell(
        database, sender, ordered(database, product_id, "friend@example.com"), permission(mail=STRICT)
    )
    assert told["status"] == "SUPPRESSED"


def test_an_address_that_awaits_its_code_gets_nothing(
    database: Database, sender: FakeSender, product_id: UUID
) -> None:
    add_recipient(database, STRANGER)
    execute(database, "UPDATE recipients SET confirmed_at = NULL")
    told = tell(database, sender, ordered(database, product_id, STRANGER), permission(mail=STRICT))
    assert told["error"] == NOT_CONFIRMED


def test_a_recipient_that_was_removed_gets_nothing_any_more_not_even_what_is_on_its_way(
    database: Database, sender: FakeSender, product_id: UUID
) -> None:
    add_recipient(database, "friend@example.com")
    strict = permission(mail=STRICT)
    order_id = ordered(database, product_id, "friend@example.com")
    sender.before = raising(NotSent("Throttling"))
    with pytest.raises(NotSent):
        tell(database, sender, order_id, strict)
    sender.before = lambda: None
    execute(database, "DELETE FROM recipients")
    assert tell(database, sender, order_id, strict)["error"] == NOT_CONFIRMED
    assert sender.sent == []


class TestAccounts:
    """Cognito is asked for the account's address, and not with every message."""

    def test_a_known_address_is_relied_on_for_a_day(
        self, database: Database, sender: FakeSender, product_id: UUID
    ) -> None:
        accounts = FakeAccounts()
        for _ in range(3):
            tell(database, sender, ordered(database, product_id, EMAIL), permission(accounts, STRICT))
            execute(database, "UPDATE account_addresses SET asked_at = asked_at - interval '2 hours'")
        assert accounts.asked == [ALICE]
        age(database, timedelta(hours=ACCOUNT_HOURS))
        tell(database, sender, ordered(database, product_id, EMAIL), permission(accounts, STRICT))
        assert accounts.asked == [ALICE] * 2

    def test_a_changed_address_is_found_out_within_a_minute(
        self, database: Database, sender: FakeSender, product_id: UUID
    ) -> None:
        accounts = FakeAccounts()
        strict = permission(accounts, STRICT)
        assert tell(database, sender, ordered(database, product_id, EMAIL), strict)["status"] == "SENT"
        accounts.addresses[ALICE] = "alice@new.example.com"
        age(database, timedelta(seconds=ASK_AGAIN_SECONDS + 1))
        order_id = ordered(database, product_id, "alice@new.example.com")
        assert tell(database, sender, order_id, strict)["status"] == "SENT"
        # The old one is not the account's any more.
        assert tell(database, sender, ordered(database, product_id, EMAIL), strict)["status"] == "SUPPRESSED"

    def test_an_account_without_a_verified_address_sends_to_none(
        self, database: Database, sender: FakeSender, product_id: UUID
    ) -> None:
        accounts = FakeAccounts({})
        for _ in range(2):
            told = tell(database, sender, ordered(database, product_id, EMAIL), permission(accounts, STRICT))
            assert told["error"] == NOT_CONFIRMED
        assert accounts.asked == [ALICE]

    def test_while_cognito_is_away_the_message_waits(
        self, database: Database, sender: FakeSender, product_id: UUID
    ) -> None:
        accounts = FakeAccounts(ask=raising(ServiceUnavailable("Cognito did not answer")))
        strict = permission(accounts, STRICT)
        order_id = ordered(database, product_id, EMAIL)
        for _ in range(2):
            with pytest.raises(ServiceUnavailable):
                tell(database, sender, order_id, strict)
        assert processed(database) == []
        accounts.ask = lambda: None
        assert tell(database, sender, order_id, strict)["status"] == "SENT"
        assert notification(database, order_id)["attempts"] == 1

    def test_a_confirmed_recipient_needs_no_account(
        self, database: Database, sender: FakeSender, product_id: UUID
    ) -> None:
        add_recipient(database, "friend@example.com")
        accounts = FakeAccounts()
        strict = permission(accounts, STRICT)
        tell(database, sender, ordered(database, product_id, "friend@example.com"), strict)
        assert accounts.asked == []


def age(database: Database, by: timedelta) -> None:
    execute(database, "UPDATE account_addresses SET asked_at = now() - CAST(:age AS interval)", age=by)


class TestLimits:
    """What recipients who agreed get at most."""

    def test_to_one_recipient_whoever_causes_them(
        self, database: Database, sender: FakeSender, product_id: UUID
    ) -> None:
        users = [f"user-{number}" for number in range(3)]
        for user_id in users:
            add_recipient(database, "office@example.com", user_id=user_id)
        strict = permission(FakeAccounts({}), STRICT)
        for user_id in users * 3:
            tell(
                database, sender, ordered(database, product_id, "office@example.com", user_id=user_id), strict
            )
        assert len(sender.sent) == STRICT.recipient
        assert statuses(database)[STRICT.recipient :] == [("SUPPRESSED", "RECIPIENT_LIMIT")] * 4

    def test_of_one_user_to_whomever(self, database: Database, sender: FakeSender, product_id: UUID) -> None:
        strict = permission(FakeAccounts({}), STRICT)
        addresses = [f"friend-{number}@example.com" for number in range(12)]
        for address in addresses:
            add_recipient(database, address)
            tell(database, sender, ordered(database, product_id, address), strict)
        assert len(sender.sent) == STRICT.user
        assert statuses(database)[STRICT.user :] == [("SUPPRESSED", "USER_LIMIT")] * 2

    def test_of_the_whole_stage_and_an_operator_hears_of_it(
        self, database: Database, sender: FakeSender, product_id: UUID
    ) -> None:
        accounts = FakeAccounts({f"user-{number}": f"user-{number}@example.com" for number in range(4)})
        tight = permission(accounts, STRICT.model_copy(update={"stage": 3}))
        with recorded() as written:
            for user_id, address in accounts.addresses.items():
                tell(database, sender, ordered(database, product_id, address, user_id=user_id), tight)
            write_metrics()
        assert len(sender.sent) == 3
        assert statuses(database)[3:] == [("SUPPRESSED", "STAGE_LIMIT")]
        assert written.metrics["StageLimitReached"] == 1

    def test_mails_and_texts_have_limits_of_their_own(
        self, database: Database, sender: FakeSender, product_id: UUID
    ) -> None:
        one = STRICT.model_copy(update={"recipient": 1, "user": 1})
        strict = permission(mail=one, text=one)
        add_recipient(database, PHONE, channel=Channel.SMS)
        order_id = ordered(database, product_id, EMAIL, phone=PHONE)
        for channel in Channel:
            assert tell(database, sender, order_id, strict, channel)["status"] == "SENT"

    def test_a_message_that_is_tried_again_counts_once(
        self, database: Database, sender: FakeSender, product_id: UUID
    ) -> None:
        one = permission(mail=STRICT.model_copy(update={"recipient": 1, "user": 1}))
        order_id = ordered(database, product_id, EMAIL)
        sender.before = raising(NotSent("Throttling"))
        for _ in range(3):
            with pytest.raises(NotSent):
                tell(database, sender, order_id, one)
        sender.before = lambda: None
        assert tell(database, sender, order_id, one)["status"] == "SENT"

    def test_what_was_suppressed_stays_so_however_often_it_is_delivered(
        self, database: Database, sender: FakeSender, product_id: UUID
    ) -> None:
        order_id = ordered(database, product_id, STRANGER)
        strict = permission(mail=STRICT)
        tell(database, sender, order_id, strict)
        add_recipient(database, STRANGER)
        with recorded() as written:
            for _ in range(2):
                assert tell(database, sender, order_id, strict)["status"] == "SUPPRESSED"
            write_metrics()
        assert sender.sent == []
        assert written.metrics == {}

    def test_a_suppression_repeated_after_a_lost_commit_sends_nothing(
        self, database: Database, product_id: UUID
    ) -> None:
        order_id = ordered(database, product_id, STRANGER)
        database.transact(lambda connection: remember(connection, ALICE, EMAIL))
        delivery = NotificationToSend(uuid7(), uuid7(), order_id, Notification.PAYMENT_FAILED, Channel.EMAIL)
        limits = permission(mail=STRICT).limits
        claimed = [
            database.transact(lambda connection: delivery.claim(connection, limits)[0]) for _ in range(2)
        ]
        assert claimed == [SuppressionReason.RECIPIENT_NOT_CONFIRMED, NotificationClaim.DONE]

    def test_of_many_at_once_no_more_are_sent(
        self, credentials: Credentials, database: Database, sender: FakeSender, product_id: UUID
    ) -> None:
        strict = permission(mail=STRICT)
        orders = [ordered(database, product_id, EMAIL) for _ in range(12)]
        at_once(credentials, [lambda own, id=id: tell(own, sender, id, strict) for id in orders])
        assert len(sender.sent) == STRICT.recipient

    def test_of_many_users_at_once_one_stranger_gets_no_more(
        self, credentials: Credentials, database: Database, sender: FakeSender, product_id: UUID
    ) -> None:
        local = permission(FakeAccounts({}), STRICT.model_copy(update={"unconfirmed": 2}))
        orders = [ordered(database, product_id, STRANGER, user_id=f"user-{n}") for n in range(12)]
        at_once(credentials, [lambda own, id=id: tell(own, sender, id, local) for id in orders])
        assert len(sender.sent) == 2


class TestAllowances:
    """A token bucket in a row."""

    @pytest.mark.parametrize("per_hour", [1, 3, 7, 13, 997])
    def test_all_of_it_may_be_spent_at_once_and_no_more(self, database: Database, per_hour: int) -> None:
        allowance = Allowance("tests", "a", per_hour)

        def work(connection: Connection) -> list[bool]:
            return [spend(connection, allowance) is None for _ in range(per_hour + 2)]

        assert database.transact(work) == [True] * per_hour + [False] * 2

    def test_one_comes_back_each_part_of_an_hour(self, database: Database) -> None:
        allowance = Allowance("tests", "a", 4)
        while database.transact(lambda connection: spend(connection, allowance)) is None:
            pass
        assert allowance.retry_after_seconds == 900
        wait(database, timedelta(minutes=15))
        assert database.transact(lambda connection: spend(connection, allowance)) is None
        assert database.transact(lambda connection: spend(connection, allowance)) == allowance

    def test_after_a_long_time_it_is_all_there_and_no_more(self, database: Database) -> None:
        allowance = Allowance("tests", "a", 2)
        database.transact(lambda connection: spend(connection, allowance))
        wait(database, timedelta(days=3))
        spent = [database.transact(lambda connection: spend(connection, allowance)) for _ in range(3)]
        assert spent == [None, None, allowance]

    def test_behind_one_that_is_refused_none_is_spent(self, database: Database) -> None:
        small, large = Allowance("tests", "small", 1), Allowance("tests", "large", 2)
        results = [database.transact(lambda connection: spend(connection, small, large)) for _ in range(5)]
        assert results == [None, *[small] * 4]
        assert database.transact(lambda connection: spend(connection, large)) is None

    def test_of_none_at_all_nothing_is_spent(self, database: Database) -> None:
        nothing = Allowance("tests", "nothing", 0)
        assert database.transact(lambda connection: spend(connection, nothing)) == nothing
        assert rows(database, "SELECT * FROM allowances") == []

    def test_what_all_share_is_split_into_lanes(self) -> None:
        lanes = {Allowance.shared("stage", 10_000, uuid7()) for _ in range(500)}
        assert {lane.per_hour for lane in lanes} == {1_000}
        assert len(lanes) == 10
        assert Allowance.shared("stage", 999, uuid7()) == Allowance("stage", "0", 999)


def wait(database: Database, time: timedelta) -> None:
    execute(database, "UPDATE allowances SET full_at = full_at - CAST(:time AS interval)", time=time)


def at_once(credentials: Credentials, calls: Sequence[Any]) -> None:
    """Makes the calls at the same time, each with a database connection of its own."""
    start = threading.Barrier(len(calls))

    def call(one: Any) -> None:
        own = Database(lambda: credentials)
        start.wait()
        one(own)
        own.engine.dispose()

    with ThreadPoolExecutor(len(calls)) as pool:
        for future in [pool.submit(call, one) for one in calls]:
            future.result()
