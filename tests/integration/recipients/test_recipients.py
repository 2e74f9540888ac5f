"""A recipient is confirmed by the code that was sent there, and by nothing else."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest

from functions.notify.codes import send_code
from functions.notify.sending import NotificationRefused, NotSent
from functions.recipients import handler, recipients
from functions.recipients.models import AddRecipient
from functions.recipients.recipients import MAX_RECIPIENTS
from orders import suppressed_addresses
from orders.confirmation_codes import ATTEMPTS, ConfirmationCodes
from orders.db import Credentials, Database
from orders.domain import Channel, MailFeedback
from orders.errors import OrdersError, TooManyCodes
from orders.events import CloudEvent, ConfirmationCodeRequested
from orders.idempotency import IdempotentRequest
from orders.observability import write_metrics
from tests.integration.notify.fake_sender import FakeSender, raising
from tests.support.api import Answer, Client
from tests.support.consumers import cloud_event
from tests.support.factories import ALICE, TRACE, execute, rows
from tests.support.written import recorded

RECIPIENTS = "/api/v1/recipients"
FRIEND = "friend@example.com"
PHONE = "+34600123456"


@pytest.fixture
def sender() -> FakeSender:
    return FakeSender()


def ask(client: Client, address: str = FRIEND, channel: str = "email", **body: Any) -> Answer:
    """Asks for a code under a new key."""
    asked = {"channel": channel, "address": address, **body}
    return client.post(RECIPIENTS, asked, {"Idempotency-Key": str(uuid4())})


def events(database: Database) -> list[CloudEvent]:
    found = rows(
        database,
        "SELECT id, subject, data FROM outbox WHERE type = :type ORDER BY id",
        type=ConfirmationCodeRequested.type,
    )
    return [
        cloud_event(row["subject"], ConfirmationCodeRequested.model_validate(row["data"])).model_copy(
            update={"id": row["id"]}
        )
        for row in found
    ]


def deliver(database: Database, codes: ConfirmationCodes, sender: FakeSender, event: CloudEvent) -> None:
    payload = event.payload()
    assert isinstance(payload, ConfirmationCodeRequested)
    send_code(database, lambda channel: sender, codes, event, payload)


def confirm(client: Client, recipient_id: str, code: str) -> Answer:
    return client.post(f"{RECIPIENTS}/{recipient_id}/confirmation", {"code": code})


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def test_whoever_asks_for_a_code_is_not_told_that_the_address_gets_no_mail(
    alice: Client, bob: Client, database: Database, codes: ConfirmationCodes, sender: FakeSender
) -> None:
    usual = ask(alice, "other@example.com")
    database.transact(
        lambda connection: suppressed_addresses.suppress(connection, FRIEND, MailFeedback.BOUNCED, None)
    )

    asked = ask(bob)
    for event in events(database):
        deliver(database, codes, sender, event)

    assert [message.to for message in sender.sent] == ["other@example.com"]
    varying = {"recipientId": "", "address": "", "codeExpiresAt": "", "createdAt": ""}
    assert (asked.status, asked.json | varying) == (usual.status, usual.json | varying)
    assert bob.get(RECIPIENTS).json["items"][0] | varying == usual.json | varying


def test_an_address_is_confirmed_by_the_code_that_was_sent_there(
    alice: Client, database: Database, codes: ConfirmationCodes, sender: FakeSender
) -> None:
    asked = ask(alice)
    assert asked.status == 202
    recipient_id = asked.json["recipientId"]
    assert asked.headers["location"] == f"{RECIPIENTS}/{recipient_id}"
    assert (asked.json["address"], asked.json["confirmedAt"]) == (FRIEND, None)

    (event,) = events(database)
    assert event.subject == UUID(recipient_id)
    deliver(database, codes, sender, event)
    (message,) = sender.sent
    code = codes.code(event.subject, 1)
    assert message.to == FRIEND
    assert code in message.text
    assert code in message.html

    confirmed = confirm(alice, recipient_id, code)
    assert confirmed.status == 200
    assert confirmed.json["confirmedAt"] is not None
    assert confirmed.json["codeExpiresAt"] is None
    assert alice.get(RECIPIENTS).json == {"items": [confirmed.json], "nextCursor": None}
    # Once more, for whoever did not get the first answer.
    assert confirm(alice, recipient_id, code).json == confirmed.json


def test_a_telephone_gets_its_code_as_a_text_message_in_the_language_asked_for(
    alice: Client, database: Database, codes: ConfirmationCodes, sender: FakeSender
) -> None:
    assert ask(alice, PHONE, "sms", locale="es").status == 202
    (event,) = events(database)
    deliver(database, codes, sender, event)
    (message,) = sender.sent
    assert message.to == PHONE
    assert message.html == ""
    assert message.text.startswith("Clave")
    # One text message holds so much.
    assert len(message.text) <= 160


def test_no_code_stands_in_the_database_in_a_message_or_in_a_log(
    alice: Client, database: Database, codes: ConfirmationCodes, sender: FakeSender
) -> None:
    with recorded() as written:
        recipient_id = ask(alice).json["recipientId"]
        (event,) = events(database)
        deliver(database, codes, sender, event)
        code = codes.code(event.subject, 1)
        confirm(alice, recipient_id, wrong(code))
        confirm(alice, recipient_id, code)
        write_metrics()
    stored = str(rows(database, "SELECT recipients::text FROM recipients")) + str(
        rows(database, "SELECT outbox::text FROM outbox")
    )
    for place in (
        written.text,
        stored.replace(recipient_id, ""),
        event.model_dump_json().replace(recipient_id, ""),
    ):
        assert code not in place
    for address in (FRIEND, "friend"):
        assert address not in written.text
        assert address not in event.model_dump_json()
    assert written.metrics["CodesSent"] == 1


def test_a_wrong_code_may_be_tried_five_times(
    alice: Client, database: Database, codes: ConfirmationCodes
) -> None:
    recipient_id = ask(alice).json["recipientId"]
    code = codes.code(UUID(recipient_id), 1)
    for left in (4, 3, 2, 1):
        refused = confirm(alice, recipient_id, wrong(code))
        assert refused.status == 422
        assert refused.json["type"].endswith("/wrong-code")
        assert ("One" if left == 1 else str(left)) in refused.json["detail"]
    for attempt in (wrong(code), code, code):
        refused = confirm(alice, recipient_id, attempt)
        assert (refused.status, refused.json["type"].rsplit("/", 1)[-1]) == (409, "code-expired")
    # A new code is another one, with attempts of its own.
    assert ask(alice).json["recipientId"] == recipient_id
    assert confirm(alice, recipient_id, code).status == 422
    assert confirm(alice, recipient_id, codes.code(UUID(recipient_id), 2)).status == 200


def test_of_guesses_at_once_no_more_are_compared(
    alice: Client, credentials: Credentials, database: Database, codes: ConfirmationCodes
) -> None:
    recipient_id = ask(alice).json["recipientId"]
    code = codes.code(UUID(recipient_id), 1)
    answers = at_once(credentials, 12, lambda own: guess(own, codes, recipient_id, wrong(code)))
    assert answers.count("WrongCode") == ATTEMPTS - 1
    assert answers.count("CodeExpired") == 12 - (ATTEMPTS - 1)


def guess(database: Database, codes: ConfirmationCodes, recipient_id: str, code: str) -> str:
    try:
        recipients.confirm(database, codes, ALICE, recipient_id, code)
    except OrdersError as error:
        return type(error).__name__
    return "confirmed"


def test_after_ten_minutes_a_code_confirms_nothing(
    alice: Client, database: Database, codes: ConfirmationCodes
) -> None:
    recipient_id = ask(alice).json["recipientId"]
    execute(database, "UPDATE recipients SET code_expires_at = code_expires_at - interval '10 minutes'")
    refused = confirm(alice, recipient_id, codes.code(UUID(recipient_id), 1))
    assert (refused.status, refused.json["type"].rsplit("/", 1)[-1]) == (409, "code-expired")
    assert alice.get(f"{RECIPIENTS}/{recipient_id}").json["confirmedAt"] is None


def test_another_user_s_recipient_is_as_unknown_as_none(
    alice: Client, bob: Client, database: Database, codes: ConfirmationCodes
) -> None:
    recipient_id = ask(alice).json["recipientId"]
    code = codes.code(UUID(recipient_id), 1)
    for unknown in (recipient_id, str(uuid4()), "nothing"):
        for answer in (
            bob.get(f"{RECIPIENTS}/{unknown}"),
            bob.delete(f"{RECIPIENTS}/{unknown}"),
            confirm(bob, unknown, code),
        ):
            assert answer.status == 404
            assert answer.json["type"].endswith("/recipient-not-found")
    assert bob.get(RECIPIENTS).json["items"] == []
    assert confirm(alice, recipient_id, code).status == 200


def test_a_recipient_that_was_removed_is_gone_and_its_code_with_it(
    alice: Client, database: Database, codes: ConfirmationCodes, sender: FakeSender
) -> None:
    recipient_id = ask(alice).json["recipientId"]
    assert alice.delete(f"{RECIPIENTS}/{recipient_id}").status == 204
    assert alice.get(f"{RECIPIENTS}/{recipient_id}").status == 404
    (event,) = events(database)
    deliver(database, codes, sender, event)
    assert sender.sent == []
    assert ask(alice).json["recipientId"] != recipient_id


class TestOncePerKey:
    """A request takes effect once, however often it is sent."""

    def test_a_repeated_request_asks_for_no_second_code(self, alice: Client, database: Database) -> None:
        body, key = {"channel": "email", "address": FRIEND}, {"Idempotency-Key": "once"}
        first, *others = [alice.post(RECIPIENTS, body, key) for _ in range(3)]
        assert "idempotency-replayed" not in first.headers
        for other in others:
            assert (other.status, other.json) == (202, first.json)
            assert other.headers["idempotency-replayed"] == "true"
        assert len(events(database)) == 1

    def test_another_request_under_the_same_key_is_refused(self, alice: Client) -> None:
        key = {"Idempotency-Key": "once"}
        assert alice.post(RECIPIENTS, {"channel": "email", "address": FRIEND}, key).status == 202
        refused = alice.post(RECIPIENTS, {"channel": "email", "address": "other@example.com"}, key)
        assert (refused.status, refused.json["type"].rsplit("/", 1)[-1]) == (422, "idempotency-key-reused")

    def test_of_requests_at_once_one_asks_for_a_code(
        self, alice: Client, credentials: Credentials, database: Database
    ) -> None:
        answers = at_once(credentials, 6, lambda own: add(own, FRIEND, key="once"))
        assert len(set(map(str, answers))) == 1
        assert len(events(database)) == 1
        # Those that came later have used up nothing: four codes are left for this address.
        later = [add(database, FRIEND, key=str(uuid4())) is not None for _ in range(5)]
        assert later == [True] * 4 + [False]

    def test_it_needs_a_key(self, alice: Client) -> None:
        refused = alice.post(RECIPIENTS, {"channel": "email", "address": FRIEND})
        assert (refused.status, refused.pointers) == (422, ["#/header/idempotency-key"])


class TestSending:
    """A code is sent at most once, whatever is delivered how often."""

    def test_an_event_delivered_again_sends_nothing(
        self, alice: Client, database: Database, codes: ConfirmationCodes, sender: FakeSender
    ) -> None:
        ask(alice)
        (event,) = events(database)
        for _ in range(3):
            deliver(database, codes, sender, event)
        assert len(sender.sent) == 1
        assert rows(database, "SELECT event_id FROM inbox") == [{"event_id": event.id}]

    def test_events_that_nobody_asked_for_send_nothing(
        self, alice: Client, database: Database, codes: ConfirmationCodes, sender: FakeSender
    ) -> None:
        recipient_id = UUID(ask(alice).json["recipientId"])
        for subject, version in ((recipient_id, 2), (recipient_id, 2**31 - 1), (uuid4(), 1)):
            deliver(database, codes, sender, cloud_event(subject, ConfirmationCodeRequested(version=version)))
        assert sender.sent == []

    def test_only_the_newest_code_is_sent(
        self, alice: Client, database: Database, codes: ConfirmationCodes, sender: FakeSender
    ) -> None:
        ask(alice)
        ask(alice)
        for event in events(database):
            deliver(database, codes, sender, event)
        (message,) = sender.sent
        assert codes.code(events(database)[1].subject, 2) in message.text

    def test_a_throttled_code_is_sent_by_the_next_delivery(
        self, alice: Client, database: Database, codes: ConfirmationCodes, sender: FakeSender
    ) -> None:
        ask(alice)
        (event,) = events(database)
        sender.before = raising(NotSent("Throttling"))
        with pytest.raises(NotSent):
            deliver(database, codes, sender, event)
        sender.before = lambda: None
        deliver(database, codes, sender, event)
        assert len(sender.sent) == 1

    @pytest.mark.parametrize("failure", [NotificationRefused("MessageRejected"), TimeoutError()], ids=repr)
    def test_one_that_was_refused_or_perhaps_sent_is_not_sent_again(
        self,
        alice: Client,
        database: Database,
        codes: ConfirmationCodes,
        sender: FakeSender,
        failure: Exception,
    ) -> None:
        ask(alice)
        (event,) = events(database)
        sender.before = raising(failure)
        with suppress(TimeoutError):
            deliver(database, codes, sender, event)
        sender.before = lambda: None
        deliver(database, codes, sender, event)
        assert sender.sent == []

    def test_a_confirmed_recipient_gets_no_code(
        self, alice: Client, database: Database, codes: ConfirmationCodes
    ) -> None:
        recipient_id = ask(alice).json["recipientId"]
        confirm(alice, recipient_id, codes.code(UUID(recipient_id), 1))
        again = ask(alice, FRIEND.upper())
        assert again.status == 202
        assert again.json["confirmedAt"] is not None
        assert len(events(database)) == 1


class TestLimits:
    """Nobody is flooded with codes. The limits are 5 for an address, 8 for a user, and 12 in all."""

    @pytest.mark.parametrize(
        "spelling", [FRIEND, FRIEND.upper(), "friend+1@example.com", "Friend+2@Example.com"]
    )
    def test_of_one_address_whoever_asks(
        self, alice: Client, bob: Client, database: Database, spelling: str
    ) -> None:
        for _ in range(3):
            assert ask(alice).status == 202
        for _ in range(2):
            assert ask(bob).status == 202
        with recorded() as written:
            refused = ask(bob, spelling)
        assert (refused.status, refused.json["type"].rsplit("/", 1)[-1]) == (429, "too-many-codes")
        assert 0 < int(refused.headers["retry-after"]) <= 3600 / 5
        assert FRIEND not in written.text
        assert written.metrics["CodesRefused"] == 1
        assert len(events(database)) == 5
        # It costs the others nothing.
        assert ask(bob, "other@example.com").status == 202

    def test_of_one_user_for_whatever_addresses(self, alice: Client, bob: Client, database: Database) -> None:
        answers = [ask(alice, f"friend-{number}@example.com").status for number in range(20)]
        assert answers == [202] * 8 + [429] * 12
        assert ask(bob).status == 202

    def test_of_all_users_together(self, alice: Client) -> None:
        clients = [Client(alice.handler, user_id=f"user-{number}") for number in range(20)]
        answers = [
            ask(client, f"friend-{number}@example.com").status for number, client in enumerate(clients)
        ]
        assert answers == [202] * 12 + [429] * 8

    def test_removing_a_recipient_gives_no_codes_back(self, alice: Client) -> None:
        answers = []
        for _ in range(7):
            asked = ask(alice)
            answers.append(asked.status)
            if asked.status == 202:
                alice.delete(f"{RECIPIENTS}/{asked.json['recipientId']}")
        assert answers == [202] * 5 + [429] * 2

    def test_of_requests_at_once_no_more(
        self, alice: Client, credentials: Credentials, database: Database
    ) -> None:
        at_once(credentials, 10, lambda own: add(own, FRIEND, key=str(uuid4())))
        assert len(events(database)) == 5

    def test_a_user_has_so_many_recipients_and_no_more(self, alice: Client, database: Database) -> None:
        for number in range(MAX_RECIPIENTS):
            execute(database, "DELETE FROM allowances")
            assert ask(alice, f"friend-{number}@example.com").status == 202
        execute(database, "DELETE FROM allowances")
        refused = ask(alice, "one-more@example.com")
        assert (refused.status, refused.json["type"].rsplit("/", 1)[-1]) == (409, "recipient-limit-reached")
        # One that is there may have a new code.
        assert ask(alice, "friend-0@example.com").status == 202


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"channel": "email", "address": "nobody"}, "#/address"),
        ({"channel": "sms", "address": FRIEND}, "#/address"),
        ({"channel": "email", "address": PHONE}, "#/address"),
        ({"channel": "pigeon", "address": FRIEND}, "#/channel"),
        ({"channel": "email"}, "#/address"),
        ({"channel": "email", "address": FRIEND, "confirmedAt": "2026-01-01T00:00:00Z"}, "#/confirmedAt"),
        ({"channel": "email", "address": FRIEND, "locale": "xx"}, "#/locale"),
    ],
)
def test_what_is_no_recipient_is_refused_by_its_field(
    alice: Client, database: Database, body: dict[str, str], pointer: str
) -> None:
    refused = alice.post(RECIPIENTS, body, {"Idempotency-Key": str(uuid4())})
    assert (refused.status, refused.pointers) == (422, [pointer])
    assert rows(database, "SELECT id FROM recipients") == []


@pytest.mark.parametrize("code", ["12345", "1234567", "12345a", "１２３４５６", "123456\n", ""])
def test_what_is_no_code_counts_as_no_attempt(alice: Client, database: Database, code: str) -> None:
    recipient_id = ask(alice).json["recipientId"]
    refused = confirm(alice, recipient_id, code)
    assert (refused.status, refused.pointers) == (422, ["#/code"])
    assert rows(database, "SELECT code_attempts FROM recipients") == [{"code_attempts": 0}]


def test_codes_differ_by_recipient_by_version_and_by_key(codes: ConfirmationCodes) -> None:
    one, other = uuid4(), uuid4()
    made = {codes.code(one, version) for version in range(1, 50)}
    assert len(made) > 45
    assert all(code.isdigit() and len(code) == 6 for code in made)
    assert [codes.code(one, version) for version in range(5)] != [
        codes.code(other, version) for version in range(5)
    ]
    elsewhere = ConfirmationCodes(lambda: "another key")
    assert [codes.code(one, version) for version in range(5)] != [
        elsewhere.code(one, version) for version in range(5)
    ]
    assert codes.is_right(codes.code(one, 1), one, 1)
    assert not codes.is_right(wrong(codes.code(one, 1)), one, 1)


def add(database: Database, address: str, *, key: str) -> Any:
    asked = AddRecipient(channel=Channel.EMAIL, address=address)
    request = IdempotentRequest.of(asked, user_id=ALICE, key=key)
    try:
        return recipients.add(
            database, handler.settings.code_limits, request, asked, TRACE
        ).recipient.recipient_id
    except TooManyCodes:
        return None


def at_once(credentials: Credentials, times: int, call: Callable[[Database], Any]) -> list[Any]:
    """Makes the call so many times at the same time, each with a database connection of its own."""
    start = threading.Barrier(times)

    def one() -> Any:
        own = Database(lambda: credentials)
        start.wait()
        answer = call(own)
        own.engine.dispose()
        return answer

    with ThreadPoolExecutor(times) as pool:
        return [future.result() for future in [pool.submit(one) for _ in range(times)]]
