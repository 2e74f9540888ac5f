"""A bounce or a complaint marks our mail once, and its address gets none any more. A claim that is not true does
nothing."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from functions.mail_feedback import handler
from functions.mail_feedback.mail_feedback import take
from functions.notify.limits import remember
from functions.notify.notification_rows import NotificationClaim, NotificationToSend
from functions.operations import suppressed_addresses
from orders import erasure
from orders.db import Credentials, Database
from orders.domain import Channel, Notification
from orders.ids import uuid7
from orders.mail_feedback import GREETING, MailEvent
from orders.messages import Cause, read_hint
from orders.observability import write_metrics
from orders.operator_actions import Operator
from tests.integration.mail_feedback.mails import Mails
from tests.integration.notify.fake_sender import FakeAccounts, permission
from tests.support.consumers import FakeDeadLetterQueue
from tests.support.factories import ALICE, BOB, EMAIL, execute, rows
from tests.support.mail_events import bounce, complaint
from tests.support.written import recorded

FRIEND = "friend@example.com"
OTHER = "other@example.com"
HEARD = {"BOUNCED": bounce, "COMPLAINED": complaint}
feedback = pytest.mark.parametrize("status", sorted(HEARD))


@feedback
def test_it_marks_the_mail_and_its_address_gets_no_mail_any_more(mails: Mails, status: str) -> None:
    order_id = mails.order()
    mail = mails.tell(order_id)

    with recorded() as written:
        assert mails.hear(HEARD[status](mail["provider_id"], EMAIL)) == []

    assert mails.record(order_id)["status"] == status
    assert mails.suppressed() == [(EMAIL, status, order_id)]
    assert written.metrics == {f"Mails{status.capitalize()}": 1}
    assert EMAIL not in written.text


@pytest.mark.parametrize("spelled", ["Friend@example.com", "FRIEND@EXAMPLE.COM"])
def test_capital_letters_make_no_other_address(mails: Mails, spelled: str) -> None:
    mail = mails.tell(mails.order("Friend@example.com"))

    mails.hear(bounce(mail["provider_id"], spelled))

    assert [address for address, *_ in mails.suppressed()] == [FRIEND]
    told = mails.tell(mails.order("friend@Example.com", BOB))
    assert (told["status"], told["error"]) == ("SUPPRESSED", "ADDRESS_BOUNCED")


@feedback
def test_no_user_s_mail_goes_there(mails: Mails, status: str) -> None:
    mails.hear(HEARD[status](mails.tell(mails.order(FRIEND))["provider_id"], FRIEND))
    mails.sender.sent.clear()
    accounts = FakeAccounts()

    told = mails.tell(mails.order(FRIEND, BOB), allowed=permission(accounts))

    assert (told["status"], told["error"], told["sent_at"]) == ("SUPPRESSED", f"ADDRESS_{status}", None)
    assert mails.sender.sent == []
    assert accounts.asked == [], "nor does Cognito pay for it"
    assert rows(mails.database, "SELECT * FROM allowances WHERE key LIKE :user", user=f"%{BOB}%") == []


def test_a_mail_that_was_tried_before_is_not_sent_there_either(mails: Mails, database: Database) -> None:
    order_id = mails.order(FRIEND)
    execute(
        database,
        "INSERT INTO notifications (id, order_id, type, channel, status, attempts, lease_until) "
        "VALUES (:id, :order_id, 'order_cancelled', 'email', 'QUEUED', 1, now())",
        id=uuid7(),
        order_id=order_id,
    )
    mails.hear(bounce(mails.tell(order_id)["provider_id"], FRIEND))

    told = mails.tell(order_id, Notification.ORDER_CANCELLED)

    assert (told["status"], told["error"], told["attempts"]) == ("SUPPRESSED", "ADDRESS_BOUNCED", 2)


def test_text_messages_still_go_to_the_telephone(mails: Mails) -> None:
    order_id = mails.order()
    mails.hear(bounce(mails.tell(order_id)["provider_id"], EMAIL))

    assert mails.tell(order_id, channel=Channel.SMS)["status"] == "SENT"


def test_a_complaint_weighs_more_than_a_bounce(mails: Mails) -> None:
    order_id = mails.order()
    mail = mails.tell(order_id)
    told = [HEARD[status](mail["provider_id"], EMAIL) for status in ("BOUNCED", "COMPLAINED", "BOUNCED")]

    with recorded() as written:
        assert mails.hear(*told) == []

    assert mails.record(order_id)["status"] == "COMPLAINED"
    assert mails.suppressed() == [(EMAIL, "COMPLAINED", order_id)]
    assert written.metrics == {"MailsBounced": 1, "MailsComplained": 1}


def test_a_refund_s_mail_is_marked_like_an_order_s(mails: Mails, database: Database) -> None:
    order_id, refund_id, claim_id = mails.order(), uuid7(), uuid7()
    execute(
        database,
        "INSERT INTO refunds (id, order_id, origin, requested_by, reason, amount, restock) "
        "VALUES (:id, :order_id, 'OPERATOR', 'olivia', 'broken', 1, false)",
        id=refund_id,
        order_id=order_id,
    )
    execute(
        database,
        "INSERT INTO notifications (id, refund_id, type, channel, status, provider_id, lease_until) "
        "VALUES (:id, :refund_id, 'order_refunded', 'email', 'SENT', 'ses-refund', now())",
        id=claim_id,
        refund_id=refund_id,
    )

    assert mails.hear(bounce("ses-refund", EMAIL)) == []

    (told,) = rows(database, "SELECT status FROM notifications WHERE id = :id", id=claim_id)
    assert told["status"] == "BOUNCED"
    assert mails.suppressed() == [(EMAIL, "BOUNCED", order_id)]


@feedback
def test_no_code_goes_to_an_address_whose_code_came_back(
    mails: Mails, database: Database, status: str
) -> None:
    mails.send_code(FRIEND)
    (sent,) = rows(database, "SELECT code_provider_id FROM recipients")

    assert mails.hear(HEARD[status](sent["code_provider_id"], FRIEND)) == []

    assert mails.suppressed() == [(None, status, None)], (
        "nobody has agreed to the address: only its digest is kept"
    )
    mails.sender.sent.clear()
    mails.send_code(FRIEND, BOB)
    assert mails.sender.sent == []
    assert mails.tell(mails.order(FRIEND))["error"] == f"ADDRESS_{status}"
    mails.send_code(OTHER, BOB)
    assert [message.to for message in mails.sender.sent] == [OTHER]


class TestUntrue:
    """What is not so has no effect. At the first look it may be that our own record is not there yet."""

    @feedback
    def test_a_mail_that_we_have_not_sent(self, mails: Mails, status: str) -> None:
        mails.tell(mails.order())
        mails.send_code(FRIEND)
        forged = HEARD[status]("0102018c-forged", EMAIL)
        before = mails.everything()

        with recorded() as written:
            assert mails.hear(forged) == ["message-0"]
            assert mails.hear(forged, look=2) == []

        assert mails.everything() == before
        assert written.metrics == {"MailFeedbackUnknown": 1}

    @feedback
    def test_another_recipient_than_the_mail_s(self, mails: Mails, status: str) -> None:
        mail = mails.tell(mails.order())
        mails.tell(mails.order(OTHER))
        mails.send_code(FRIEND)
        (code,) = rows(mails.database, "SELECT code_provider_id FROM recipients")
        before = mails.everything()

        with recorded() as written:
            for message_id, address in ((mail["provider_id"], OTHER), (code["code_provider_id"], OTHER)):
                mails.hear(HEARD[status](message_id, address), look=2)
            mails.hear(HEARD[status](mail["provider_id"]), look=2)

        assert mails.everything() == before
        assert written.metrics == {"MailFeedbackUnknown": 3}
        assert OTHER not in written.text

    def test_a_text_message_s_id_is_no_mail_s(self, mails: Mails) -> None:
        told = mails.tell(mails.order(), channel=Channel.SMS)
        before = mails.everything()

        mails.hear(bounce(told["provider_id"], EMAIL), look=2)

        assert mails.everything() == before

    def test_a_mail_whose_order_is_erased(self, mails: Mails, database: Database) -> None:
        order_id = mails.order()
        mail = mails.tell(order_id)
        execute(database, "UPDATE orders SET contact_email = NULL WHERE id = :id", id=order_id)
        before = mails.everything()

        mails.hear(bounce(mail["provider_id"], EMAIL), look=2)

        assert mails.everything() == before

    @pytest.mark.parametrize("bounce_type", ["Transient", "Undetermined"])
    def test_a_bounce_that_may_pass_only_counts(self, mails: Mails, bounce_type: str) -> None:
        mail = mails.tell(mails.order())
        before = mails.everything()

        with recorded() as written:
            assert mails.hear(bounce(mail["provider_id"], EMAIL, bounce_type=bounce_type)) == []

        assert mails.everything() == before
        assert written.metrics == {"MailsBouncedForNow": 1}
        assert EMAIL not in written.text


class TestOnce:
    @feedback
    def test_a_repeated_message_has_no_second_effect(self, mails: Mails, status: str) -> None:
        body = HEARD[status](mails.tell(mails.order())["provider_id"], EMAIL)
        mails.hear(body)
        before = mails.everything()

        with recorded() as written:
            assert mails.hear(body, body) == []

        assert mails.everything() == before
        assert written.metrics == {}

    @feedback
    @pytest.mark.parametrize("with_code", [False, True])
    def test_an_address_that_an_operator_allowed_stays_allowed(
        self, mails: Mails, database: Database, status: str, with_code: bool
    ) -> None:
        """Whatever is delivered again, also from a dead-letter queue."""
        if with_code:
            mails.send_code(EMAIL)
            (sent,) = rows(database, "SELECT code_provider_id AS id FROM recipients")
        else:
            sent = {"id": mails.tell(mails.order())["provider_id"]}
        body = HEARD[status](sent["id"], EMAIL)
        mails.hear(body)
        suppressed_addresses.allow(database, Operator("olivia", "repaired"), EMAIL)

        mails.hear(body, look=2)

        assert mails.suppressed() == []
        assert mails.tell(mails.order())["status"] == "SENT"

    def test_two_deliveries_at_once_have_one_effect(self, mails: Mails) -> None:
        event = read_hint(MailEvent, complaint(mails.tell(mails.order())["provider_id"], EMAIL))

        with recorded() as written:
            with ThreadPoolExecutor(4) as pool:
                for _ in range(4):
                    pool.submit(take, mails.database, event, is_first_look=True)
            write_metrics()

        assert written.metrics == {"MailsComplained": 1}


class TestEarly:
    @pytest.fixture
    def delivery(self, mails: Mails, database: Database) -> NotificationToSend:
        """A mail that its sender has claimed, and SES may have taken."""
        delivery = NotificationToSend(
            uuid7(), uuid7(), mails.order(), Notification.ORDER_CONFIRMED, Channel.EMAIL
        )
        database.transact(lambda connection: remember(connection, ALICE, EMAIL))
        claimed, _ = database.transact(lambda connection: delivery.claim(connection, permission().limits))
        assert claimed is NotificationClaim.OURS
        return delivery

    def test_a_complaint_before_its_mail_is_recorded_as_sent_waits_for_that(
        self, mails: Mails, database: Database, delivery: NotificationToSend
    ) -> None:
        body = complaint("ses-1", EMAIL)

        assert mails.hear(body) == ["message-0"]
        assert mails.record(delivery.order_id)["status"] == "SENDING"

        database.transact(lambda connection: delivery.record_sent(connection, "ses-1"))
        assert mails.hear(body, look=2) == []
        assert mails.record(delivery.order_id)["status"] == "COMPLAINED"

    def test_what_was_told_is_not_overwritten_by_a_late_sender(
        self, mails: Mails, database: Database, delivery: NotificationToSend
    ) -> None:
        database.transact(lambda connection: delivery.record_sent(connection, "ses-1"))
        mails.hear(bounce("ses-1", EMAIL))

        database.transact(lambda connection: delivery.record_sent(connection, "ses-1"))

        assert mails.record(delivery.order_id)["status"] == "BOUNCED"


def _without(body: str, *path: str) -> str:
    event: dict[str, Any] = json.loads(body)
    place = event
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return json.dumps(event)


GENUINE = bounce("ses-1", EMAIL)
MALFORMED = {
    "no JSON": "SES says hello",
    "nothing": "",
    "a list": "[]",
    "another kind": json.dumps({"eventType": "Delivery", "mail": {"messageId": "ses-1"}, "delivery": {}}),
    "no mail": _without(GENUINE, "mail"),
    "no id": _without(GENUINE, "mail", "messageId"),
    "no bounce": _without(GENUINE, "bounce"),
    "no recipients": _without(GENUINE, "bounce", "bouncedRecipients"),
    "no kind of bounce": GENUINE.replace("Permanent", "Eternal"),
    "both": json.dumps(json.loads(GENUINE) | json.loads(complaint("ses-1", EMAIL))),
    "an id that no column holds": GENUINE.replace('"ses-1"', '"ses\\u00001"'),
    "a long id": GENUINE.replace('"ses-1"', f'"{"s" * 201}"'),
    "an id of another kind": GENUINE.replace('"ses-1"', "1"),
    "a wrapped one": json.dumps({"Type": "Notification", "Message": GENUINE}),
}


@pytest.mark.parametrize("kind", sorted(MALFORMED))
def test_what_cannot_be_read_is_given_up_at_once(
    mails: Mails, dead_letters: FakeDeadLetterQueue, kind: str
) -> None:
    body = MALFORMED[kind]

    with recorded() as written:
        assert mails.hear(body) == []

    assert dead_letters.bodies == [body]
    (line,) = written.logs("Message refused, it goes to the dead-letter queue")
    assert line["cause"] == Cause.NOT_AN_EVENT
    assert EMAIL not in written.text


def test_ses_s_greeting_is_no_poison(mails: Mails, dead_letters: FakeDeadLetterQueue) -> None:
    assert mails.hear(GREETING) == []
    assert dead_letters.letters == []


def test_of_a_batch_each_message_fails_alone(mails: Mails, dead_letters: FakeDeadLetterQueue) -> None:
    orders = [mails.order(), mails.order(FRIEND)]
    first, second = (mails.tell(order_id)["provider_id"] for order_id in orders)

    back = mails.hear(
        bounce(first, EMAIL), "poison", complaint("not-yet", EMAIL), complaint(second, FRIEND), GREETING
    )

    assert back == ["message-2"]
    assert dead_letters.bodies == ["poison"]
    assert [mails.record(order_id)["status"] for order_id in orders] == ["BOUNCED", "COMPLAINED"]


def test_without_a_database_all_of_it_comes_again(
    mails: Mails, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Database(lambda: credentials.model_copy(update={"dbname": "nowhere"}))
    monkeypatch.setattr(handler, "database", gone)

    assert mails.hear(bounce("ses-1", EMAIL), complaint("ses-2", EMAIL), look=4) == ["message-0", "message-1"]


def test_an_erased_address_is_not_written_to_again(mails: Mails, database: Database) -> None:
    order_id = mails.order(FRIEND)
    mails.hear(bounce(mails.tell(order_id)["provider_id"], FRIEND))
    for status in ("PROCESSING", "CONFIRMED"):
        execute(database, "UPDATE orders SET status = :status WHERE id = :id", status=status, id=order_id)
    request = database.transact(lambda connection: erasure.request(connection, ALICE))

    assert request.erase_orders(database, lambda: True) == 1

    assert mails.suppressed() == [(None, "BOUNCED", order_id)]
    told = mails.tell(mails.order(FRIEND, BOB))
    assert (told["status"], told["error"]) == ("SUPPRESSED", "ADDRESS_BOUNCED")
