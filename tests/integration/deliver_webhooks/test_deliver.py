"""From an order's end to a webhook that got through, or to one that is disabled."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from functions.deliver_webhooks.attempts import (
    MAX_UNDER_WAY,
    MAX_UNDER_WAY_SLOW,
    MAX_UNDER_WAY_SLOW_OF_OWNER,
    SLOW_SECONDS,
)
from functions.deliver_webhooks.deliver import AttemptUnderWay
from functions.deliver_webhooks.schedule import JITTER
from functions.deliver_webhooks.sender import AttemptResult
from functions.webhooks import delivery_history, endpoints
from functions.webhooks.endpoints import MAX_SECRETS
from functions.webhooks.models import ChangeWebhook, RotatedSecret, RotateSecret
from orders.db import Credentials, Database
from orders.errors import TooManySecrets
from orders.events import CONSUMER_OF, OrderReviewRequired, Queue
from orders.observability import write_metrics
from orders.webhooks.keys import SigningKeys
from orders.webhooks.states import DeliveryError
from tests.integration.deliver_webhooks.webhook_setup import (
    BROKEN,
    CANCELLED,
    CONFIRMED,
    GONE,
    OK,
    WAITS,
    Killed,
    Sent,
    WebhookSetup,
)
from tests.support.factories import ALICE, BOB, EMAIL, PHONE, TRACE, add_order, execute, rows
from tests.support.webhooks import KEY, PUBLIC_ADDRESS, URL, FakeResolver, add_endpoint
from tests.support.written import recorded

PER_HOUR = 60

keys = SigningKeys(lambda: KEY)
SLOW = AttemptResult(None, DeliveryError.TIMEOUT, seconds=SLOW_SECONDS + 1)


def rotate(setup: WebhookSetup, endpoint_id: UUID, *, revoke_previous: bool = False) -> RotatedSecret:
    asked = RotateSecret.model_validate({"revokePrevious": revoke_previous})
    return endpoints.rotate_secret(setup.database, keys, ALICE, str(endpoint_id), asked).content


def accepts(secret: str, sent: Sent) -> bool:
    """Whether a receiver with this secret takes the request for ours."""
    try:
        Webhook(secret).verify(sent.body, sent.headers)
    except WebhookVerificationError:
        return False
    return True


def wait_until(holds: Callable[[], bool], patience_seconds: float = 10) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + patience_seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_an_order_that_ended_is_one_request_to_its_owners_webhook(
    setup: WebhookSetup, endpoint_id: UUID
) -> None:
    event = setup.end_order()
    setup.handle(event)
    setup.deliver()

    (sent,) = setup.sender.sent
    assert sent.url == URL
    # The receiver's side, by the library of the standard.
    verified = Webhook(keys.secret(endpoint_id, 1)).verify(sent.body, sent.headers)
    assert sent.headers["webhook-id"] == str(event.id)
    assert sent.headers["Content-Type"] == "application/json"
    assert verified == {
        "specversion": "1.0",
        "id": str(event.id),
        "source": "/orders",
        "type": "com.orders.order.confirmed.v1",
        "subject": str(event.subject),
        "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json",
        "data": {
            "orderId": str(event.subject),
            "status": "CONFIRMED",
            "failureReason": None,
            "totalAmount": 2500,
            "currency": "USD",
            "createdAt": "2026-01-01T12:00:00Z",
        },
    }
    (delivery,) = rows(setup.database, "SELECT * FROM webhook_deliveries")
    assert (delivery["status"], delivery["attempts"], delivery["last_status"]) == ("DELIVERED", 1, 200)
    assert delivery["delivered_at"] is not None
    assert delivery["next_attempt_at"] is None
    assert setup.pending() == 0


def test_a_cancelled_order_says_why_and_nothing_says_whose_it_is(
    setup: WebhookSetup, endpoint_id: UUID
) -> None:
    setup.fan_out(CANCELLED)
    setup.deliver()

    (sent,) = setup.sender.sent
    data = json.loads(sent.body)["data"]
    assert (data["status"], data["failureReason"]) == ("CANCELLED", "PAYMENT_DECLINED")
    assert not any(secret in sent.body for secret in (EMAIL, PHONE, ALICE, "pm_card"))


def test_another_secret_or_another_body_is_not_verified(setup: WebhookSetup, endpoint_id: UUID) -> None:
    setup.fan_out()
    setup.deliver()

    (sent,) = setup.sender.sent
    with pytest.raises(WebhookVerificationError):
        Webhook(keys.secret(uuid4(), 1)).verify(sent.body, sent.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(keys.secret(endpoint_id, 1)).verify(sent.body.replace("2500", "1"), sent.headers)


def test_each_endpoint_of_the_owner_has_its_delivery_and_no_one_elses(setup: WebhookSetup) -> None:
    for slot in range(1, 6):
        add_endpoint(setup.database, slot=slot, url=f"https://{slot}.example.com/")
    add_endpoint(setup.database, user_id=BOB)
    execute(setup.database, "UPDATE webhook_endpoints SET status = 'DISABLED' WHERE slot = 3")
    event = setup.end_order()

    setup.handle(event)
    # SQS delivers at least once.
    setup.handle(event)
    assert rows(setup.database, "SELECT consumer, event_id FROM inbox") == [
        {"consumer": CONSUMER_OF[Queue.WEBHOOK_DELIVERY], "event_id": event.id}
    ]
    while setup.pending():
        setup.deliver()
        if setup.pending():
            setup.pass_time()

    assert sorted(sent.url for sent in setup.sender.sent) == [
        f"https://{slot}.example.com/" for slot in (1, 2, 4, 5)
    ]
    assert len({sent.headers["webhook-signature"] for sent in setup.sender.sent}) == 4


@pytest.mark.parametrize(
    ("event_types", "heard"),
    [
        (None, ["confirmed", "cancelled", "review_required"]),
        (["confirmed"], ["confirmed"]),
        (["cancelled", "review_required"], ["cancelled", "review_required"]),
    ],
)
def test_an_endpoint_hears_of_what_it_asked_for(
    setup: WebhookSetup, endpoint_id: UUID, event_types: list[str] | None, heard: list[str]
) -> None:
    def named(word: str) -> str:
        return f"com.orders.order.{word}.v1"

    execute(
        setup.database,
        "UPDATE webhook_endpoints SET event_types = CAST(:types AS text[])",
        types=None if event_types is None else [named(word) for word in event_types],
    )
    for ended in (CONFIRMED, CANCELLED, OrderReviewRequired(**CANCELLED.model_dump())):
        setup.handle(setup.end_order(ended))
    setup.deliver()

    assert [json.loads(sent.body)["type"] for sent in setup.sender.sent] == [named(word) for word in heard]


def test_what_is_under_way_goes_where_the_endpoint_is_by_then(setup: WebhookSetup, endpoint_id: UUID) -> None:
    setup.sender.answers = [BROKEN, OK]
    setup.fan_out()
    setup.deliver()
    resolver = FakeResolver.of({"new.example.com": [PUBLIC_ADDRESS]})
    endpoints.Registrar(keys, resolver, allow_loopback=False).change(
        setup.database, ALICE, str(endpoint_id), ChangeWebhook(url="https://new.example.com/hooks")
    )

    setup.pass_time()
    setup.deliver()

    assert [sent.url for sent in setup.sender.sent] == [URL, "https://new.example.com/hooks"]
    assert accepts(keys.secret(endpoint_id, 1), setup.sender.sent[1])


def test_a_test_is_signed_and_sent_as_any_other_event(setup: WebhookSetup, endpoint_id: UUID) -> None:
    execute(
        setup.database, "UPDATE webhook_endpoints SET event_types = ARRAY['com.orders.order.cancelled.v1']"
    )
    setup.sender.answers = [BROKEN, OK]

    delivery = delivery_history.send_test(setup.database, ALICE, str(endpoint_id), TRACE).content
    setup.deliver()
    setup.pass_time()
    setup.deliver()

    assert len(setup.sender.sent) == 2
    sent = setup.sender.sent[1]
    event = Webhook(keys.secret(endpoint_id, 1)).verify(sent.body, sent.headers)
    assert event == {
        "specversion": "1.0",
        "id": sent.headers["webhook-id"],
        "source": "/orders",
        "type": "com.orders.webhook.test.v1",
        "subject": str(endpoint_id),
        "time": event["time"],
        "datacontenttype": "application/json",
        "data": {"webhookId": str(endpoint_id)},
    }
    assert sent.headers["webhook-id"] == str(delivery.event_id)
    assert setup.row(delivery.delivery_id)["status"] == "DELIVERED"


def test_a_message_that_comes_twice_is_sent_once(setup: WebhookSetup, endpoint_id: UUID) -> None:
    setup.fan_out()
    (event,) = setup.due()

    setup.handle(event)
    setup.handle(event)

    assert len(setup.sender.sent) == 1


def test_the_message_of_an_attempt_that_failed_is_not_worked_on_again(
    setup: WebhookSetup, endpoint_id: UUID
) -> None:
    """SQS gives it out twice, and the next attempt is only due later."""
    setup.sender.answers = [BROKEN]
    delivery_id = setup.fan_out()
    (event,) = setup.due()

    setup.handle(event)
    setup.handle(event)

    assert len(setup.sender.sent) == 1
    assert setup.row(delivery_id)["attempts"] == 1
    assert setup.pending() == 1


def test_a_failed_attempt_is_repeated_with_the_same_id_and_body_and_a_fresh_signature(
    setup: WebhookSetup, endpoint_id: UUID
) -> None:
    setup.sender.answers = [BROKEN, OK]
    delivery_id = setup.fan_out()
    setup.deliver()

    waiting = setup.row(delivery_id)
    assert (waiting["status"], waiting["attempts"], waiting["last_status"], waiting["last_error"]) == (
        "PENDING",
        1,
        500,
        "HTTP_STATUS",
    )
    assert setup.deliver() == 0
    setup.pass_time()
    setup.deliver()

    first, second = setup.sender.sent
    assert second.body == first.body
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    Webhook(keys.secret(endpoint_id, 1)).verify(second.body, second.headers)
    delivered = setup.row(delivery_id)
    assert (delivered["status"], delivered["attempts"], delivered["last_error"]) == ("DELIVERED", 2, None)


def test_the_waits_grow_over_a_day_and_then_the_endpoint_is_disabled(
    setup: WebhookSetup, endpoint_id: UUID
) -> None:
    setup.sender.answers = [BROKEN]
    delivery_id = setup.fan_out()

    with recorded() as written:
        setup.deliver()
        for nominal in WAITS:
            waiting = setup.row(delivery_id)
            assert waiting["status"] == "PENDING"
            seconds = setup.pass_time()
            assert (1 - JITTER) * nominal - 5 <= seconds <= (1 + JITTER) * nominal
            assert setup.deliver() == 1

    assert len(setup.sender.sent) == len(WAITS) + 1
    given_up = setup.row(delivery_id)
    assert (given_up["status"], given_up["attempts"], given_up["next_attempt_at"]) == ("FAILED", 9, None)
    endpoint = setup.endpoint()
    assert (endpoint["status"], endpoint["disabled_reason"]) == ("DISABLED", "UNDELIVERABLE")
    assert endpoint["disabled_at"] is not None
    assert setup.pending() == 0
    (line,) = written.logs("Webhook disabled")
    assert (line["webhook_id"], line["delivery_id"]) == (str(endpoint_id), str(delivery_id))


@pytest.mark.parametrize("status", [429, 503, 413, 302])
def test_a_server_that_asks_for_time_is_left_alone_for_so_long(
    setup: WebhookSetup, endpoint_id: UUID, status: int
) -> None:
    setup.sender.answers = [AttemptResult(status, DeliveryError.HTTP_STATUS, retry_after=7200)]
    setup.fan_out()
    setup.deliver()

    assert 7200 - 5 <= setup.pass_time() <= (1 + JITTER) * 7200


def test_an_endpoint_where_other_events_get_through_is_not_disabled_for_one_that_does_not(
    setup: WebhookSetup, endpoint_id: UUID
) -> None:
    delivery_id = setup.fan_out()
    execute(
        setup.database,
        "UPDATE webhook_deliveries SET attempts = 8, started_at = now() - interval '1 day'",
    )
    setup.due()
    setup.fan_out()
    setup.deliver()

    setup.sender.answers = [BROKEN]
    setup.schedule(delivery_id, attempt=9)
    setup.deliver()

    assert setup.row(delivery_id)["status"] == "FAILED"
    assert setup.endpoint()["status"] == "ENABLED"


def test_what_was_put_off_for_more_than_a_day_is_given_up_with_its_next_failure(
    setup: WebhookSetup, endpoint_id: UUID
) -> None:
    setup.sender.answers = [BROKEN]
    delivery_id = setup.fan_out()
    execute(setup.database, "UPDATE webhook_deliveries SET started_at = now() - interval '2 days'")

    setup.deliver()

    assert setup.row(delivery_id)["status"] == "FAILED"
    assert setup.endpoint()["status"] == "DISABLED"


def test_an_endpoint_that_says_it_is_gone_is_disabled_at_once(setup: WebhookSetup, endpoint_id: UUID) -> None:
    setup.sender.answers = [GONE]
    delivery_id = setup.fan_out()
    setup.deliver()

    assert (setup.row(delivery_id)["status"], setup.row(delivery_id)["last_status"]) == ("FAILED", 410)
    assert (setup.endpoint()["status"], setup.endpoint()["disabled_reason"]) == ("DISABLED", "GONE")
    assert setup.pending() == 0


def test_nothing_is_sent_to_a_disabled_endpoint(setup: WebhookSetup, endpoint_id: UUID) -> None:
    waiting = setup.fan_out()
    execute(setup.database, "UPDATE webhook_endpoints SET status = 'DISABLED'")

    setup.deliver()
    setup.handle(setup.end_order())

    assert setup.sender.sent == []
    assert (setup.row(waiting)["status"], setup.row(waiting)["last_error"]) == (
        "FAILED",
        "ENDPOINT_DISABLED",
    )
    assert len(rows(setup.database, "SELECT id FROM webhook_deliveries")) == 1
    assert setup.pending() == 0


def test_an_enabled_endpoint_hears_of_the_next_order_and_has_the_last_one_sent_again(
    setup: WebhookSetup, endpoint_id: UUID
) -> None:
    setup.sender.answers = [GONE, OK]
    missed = setup.fan_out()
    setup.deliver()

    endpoints.enable(setup.database, ALICE, str(endpoint_id))
    delivery_history.send_again(setup.database, ALICE, str(endpoint_id), str(missed), TRACE, PER_HOUR)
    setup.fan_out()
    setup.deliver()

    assert [row["status"] for row in rows(setup.database, "SELECT status FROM webhook_deliveries")] == [
        "DELIVERED"
    ] * 2


def test_sending_again_repeats_the_same_webhook_and_has_a_schedule_of_its_own(
    setup: WebhookSetup, endpoint_id: UUID
) -> None:
    delivery_id = setup.fan_out()
    setup.deliver()
    execute(setup.database, "UPDATE webhook_deliveries SET started_at = now() - interval '9 days'")
    setup.sender.answers = [BROKEN, OK]

    delivery_history.send_again(setup.database, ALICE, str(endpoint_id), str(delivery_id), TRACE, PER_HOUR)
    setup.deliver()
    assert setup.pass_time() <= (1 + JITTER) * WAITS[0]
    setup.deliver()

    assert len({(sent.headers["webhook-id"], sent.body) for sent in setup.sender.sent}) == 1
    assert len(setup.sender.sent) == 3
    assert (setup.row(delivery_id)["status"], setup.row(delivery_id)["attempts"]) == ("DELIVERED", 3)


def test_an_attempt_that_was_brought_forward_is_not_made_again_at_its_old_time(
    setup: WebhookSetup, endpoint_id: UUID
) -> None:
    setup.sender.answers = [BROKEN, OK]
    delivery_id = setup.fan_out()
    setup.deliver()

    delivery_history.send_again(setup.database, ALICE, str(endpoint_id), str(delivery_id), TRACE, PER_HOUR)
    setup.deliver()
    setup.pass_time()
    setup.deliver()

    assert len(setup.sender.sent) == 2
    assert setup.row(delivery_id)["status"] == "DELIVERED"


def test_a_webhook_that_was_deleted_meanwhile_is_not_called(setup: WebhookSetup, endpoint_id: UUID) -> None:
    setup.fan_out()
    endpoints.remove(setup.database, ALICE, str(endpoint_id))

    setup.deliver()

    assert setup.sender.sent == []


class TestASenderThatDies:
    def test_after_it_sent_has_the_same_webhook_sent_again(
        self, setup: WebhookSetup, endpoint_id: UUID
    ) -> None:
        setup.sender.during = raising(Killed())
        delivery_id = setup.fan_out()
        (event,) = setup.due()
        with pytest.raises(Killed):
            setup.handle(event)

        # The message is not visible before the lease has ended.
        execute(setup.database, "UPDATE webhook_deliveries SET lease_until = now() - interval '1 second'")
        setup.sender.during = lambda: None
        setup.handle(event)

        first, second = setup.sender.sent
        assert (second.headers["webhook-id"], second.body) == (first.headers["webhook-id"], first.body)
        assert (setup.row(delivery_id)["status"], setup.row(delivery_id)["attempts"]) == ("DELIVERED", 1)

    def test_is_waited_for_while_it_may_be_alive(self, setup: WebhookSetup, endpoint_id: UUID) -> None:
        setup.fan_out()
        (event,) = setup.due()
        doubled: list[BaseException] = []

        def comes_again() -> None:
            with pytest.raises(AttemptUnderWay) as raised:
                WebhookSetup(setup.database).handle(event)
            doubled.append(raised.value)

        setup.sender.during = comes_again
        setup.handle(event)

        assert len(doubled) == 1
        assert len(setup.sender.sent) == 1

    def test_and_comes_to_its_end_after_all_knows_best(self, setup: WebhookSetup, endpoint_id: UUID) -> None:
        """Frozen for longer than its lease: another one has failed meanwhile, and a next attempt is scheduled."""
        other = WebhookSetup(setup.database)
        other.sender.answers = [BROKEN]
        delivery_id = setup.fan_out()
        (event,) = setup.due()

        def meanwhile() -> None:
            execute(setup.database, "UPDATE webhook_deliveries SET lease_until = now() - interval '1 second'")
            other.handle(event)

        setup.sender.during = meanwhile
        setup.handle(event)
        assert setup.row(delivery_id)["status"] == "DELIVERED"

        setup.pass_time()
        setup.deliver()
        assert len(setup.sender.sent) == 1


class TestManyToOneEndpoint:
    @pytest.fixture
    def busy(self, setup: WebhookSetup, endpoint_id: UUID) -> WebhookSetup:
        """As many attempts are under way as one endpoint may have."""
        for _ in range(MAX_UNDER_WAY):
            setup.fan_out()
        setup.due()
        execute(setup.database, "UPDATE webhook_deliveries SET lease_until = now() + interval '1 minute'")
        return setup

    def test_wait_for_each_other(self, busy: WebhookSetup) -> None:
        delivery_id = busy.fan_out()

        with recorded() as written:
            assert busy.deliver() == 1
            write_metrics()

        assert busy.sender.sent == []
        assert written.metrics == {"WebhooksPostponed": 1}
        postponed = busy.row(delivery_id)
        assert (postponed["status"], postponed["attempts"]) == ("PENDING", 0)
        assert 0 < busy.pass_time() <= 3

        execute(busy.database, "UPDATE webhook_deliveries SET lease_until = NULL")
        busy.deliver()
        assert busy.row(delivery_id)["status"] == "DELIVERED"

    def test_and_are_asked_about_less_often_the_longer_it_takes(self, busy: WebhookSetup) -> None:
        busy.fan_out()
        waits = []
        for _ in range(6):
            busy.deliver()
            waits.append(busy.pass_time())

        assert waits[5] > 10 * waits[0]

    def test_do_not_keep_anybody_else_waiting(self, busy: WebhookSetup) -> None:
        add_endpoint(busy.database, user_id=BOB, url="https://bob.example.com/")
        busy.handle(busy.end_order(order_id=add_order(busy.database, user_id=BOB)))

        busy.deliver()

        assert [sent.url for sent in busy.sender.sent] == ["https://bob.example.com/"]

    @pytest.mark.parametrize("slot", [2, 3, 5])
    def test_nor_another_endpoint_of_the_same_owner(self, busy: WebhookSetup, slot: int) -> None:
        add_endpoint(busy.database, slot=slot, url="https://healthy.example.com/")
        busy.handle(busy.end_order())

        busy.deliver()

        assert [sent.url for sent in busy.sender.sent] == ["https://healthy.example.com/"]

    def test_that_are_claimed_at_the_same_moment_are_counted_all_the_same(
        self, setup: WebhookSetup, endpoint_id: UUID, credentials: Credentials
    ) -> None:
        for _ in range(8):
            setup.fan_out()
        events = setup.due()
        others = [WebhookSetup(Database(lambda: credentials)) for _ in events]
        release = threading.Event()

        def hold() -> None:
            release.wait(30)

        for other in others:
            other.sender.during = hold

        with commits_held(credentials) as let_go, ThreadPoolExecutor(8) as pool:
            handled = [pool.submit(other.handle, event) for other, event in zip(others, events, strict=True)]
            let_go(8)
            # Those that may not go return at once.
            done = wait_until(lambda: sum(one.done() for one in handled) == 8 - MAX_UNDER_WAY)
            release.set()
        for other in others:
            other.database.engine.dispose()

        assert done
        assert sum(len(other.sender.sent) for other in others) == MAX_UNDER_WAY


@contextmanager
def commits_held(credentials: Credentials) -> Iterator[Callable[[int], None]]:
    """Whoever changes a delivery waits before the commit, until so many wait there, or for somebody who does."""
    gate = credentials.connect()
    gate.autocommit = True
    cursor = gate.cursor()
    cursor.execute(
        "CREATE FUNCTION wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$"
    )
    cursor.execute(
        "CREATE CONSTRAINT TRIGGER gate AFTER UPDATE ON webhook_deliveries DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION wait_at_the_gate()"
    )
    cursor.execute("SELECT pg_advisory_lock(1)")

    def are_waiting(number: int) -> bool:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0] >= number)

    def let_go(number: int) -> None:
        assert wait_until(lambda: are_waiting(number))
        cursor.execute("SELECT pg_advisory_unlock(1)")

    yield let_go
    gate.close()


class TestASlowEndpoint:
    @pytest.fixture
    def slow(self, setup: WebhookSetup, endpoint_id: UUID) -> WebhookSetup:
        """Its last attempt took long."""
        setup.sender.answers = [SLOW]
        setup.fan_out()
        setup.deliver()
        setup.sender.answers = [OK]
        return setup

    def under_way(self, setup: WebhookSetup, number: int) -> None:
        """Has so many attempts at the customer's one endpoint under way."""
        ids = [setup.fan_out() for _ in range(number)]
        setup.due()
        execute(
            setup.database,
            "UPDATE webhook_deliveries SET lease_until = now() + interval '1 minute' WHERE id = ANY (:ids)",
            ids=ids,
        )

    def test_has_one_attempt_under_way(self, slow: WebhookSetup) -> None:
        self.under_way(slow, MAX_UNDER_WAY_SLOW)
        slow.fan_out()
        slow.sender.sent.clear()

        slow.deliver()

        assert slow.sender.sent == []

    def test_is_no_longer_slow_once_it_was_quick(self, slow: WebhookSetup) -> None:
        slow.fan_out()
        slow.deliver()
        slow.sender.sent.clear()
        self.under_way(slow, MAX_UNDER_WAY - 1)
        slow.fan_out()

        slow.deliver()

        assert len(slow.sender.sent) == 1

    def test_at_another_url_is_a_new_one(self, slow: WebhookSetup, endpoint_id: UUID) -> None:
        resolver = FakeResolver.of({"new.example.com": [PUBLIC_ADDRESS]})
        endpoints.Registrar(keys, resolver, allow_loopback=False).change(
            slow.database, ALICE, str(endpoint_id), ChangeWebhook(url="https://new.example.com/")
        )

        assert slow.endpoint()["is_slow"] is False

    def test_shares_its_owners_few_attempts_with_the_other_slow_ones(self, setup: WebhookSetup) -> None:
        for slot in range(1, 5):
            add_endpoint(setup.database, slot=slot)
        setup.handle(setup.end_order())
        execute(setup.database, "UPDATE webhook_endpoints SET is_slow = true")
        events = setup.due()
        for event in events[:MAX_UNDER_WAY_SLOW_OF_OWNER]:
            execute(
                setup.database,
                "UPDATE webhook_deliveries SET lease_until = now() + interval '1 minute' WHERE id = :id",
                id=UUID(event.data["deliveryId"]),
            )
        for event in events[MAX_UNDER_WAY_SLOW_OF_OWNER:]:
            setup.handle(event)

        assert setup.sender.sent == []


class TestAReplacedSecret:
    def test_is_signed_with_beside_the_new_one_for_a_day(
        self, setup: WebhookSetup, endpoint_id: UUID
    ) -> None:
        rotated = rotate(setup, endpoint_id)
        setup.fan_out()
        setup.deliver()

        (sent,) = setup.sender.sent
        assert accepts(rotated.secret, sent)
        assert accepts(keys.secret(endpoint_id, 1), sent)

    def test_and_not_any_more_afterwards(self, setup: WebhookSetup, endpoint_id: UUID) -> None:
        rotate(setup, endpoint_id)
        execute(setup.database, "UPDATE webhook_endpoints SET previous_secret_until = now()")
        setup.fan_out()
        setup.deliver()

        (sent,) = setup.sender.sent
        assert not accepts(keys.secret(endpoint_id, 1), sent)

    @pytest.mark.parametrize("times", [2, 3, 5, MAX_SECRETS - 1])
    def test_is_good_for_its_day_however_often_it_is_replaced(
        self, setup: WebhookSetup, endpoint_id: UUID, times: int
    ) -> None:
        newest = [rotate(setup, endpoint_id) for _ in range(times)][-1]
        setup.fan_out()
        setup.deliver()

        (sent,) = setup.sender.sent
        assert accepts(newest.secret, sent)
        assert all(accepts(keys.secret(endpoint_id, version), sent) for version in range(1, times + 2))

    def test_has_its_own_day_and_no_longer(self, setup: WebhookSetup, endpoint_id: UUID) -> None:
        for _ in range(3):
            rotate(setup, endpoint_id)
        execute(setup.database, "UPDATE webhook_older_secrets SET expires_at = now() WHERE version = 1")
        setup.fan_out()
        setup.deliver()

        (sent,) = setup.sender.sent
        assert [accepts(keys.secret(endpoint_id, version), sent) for version in (1, 2, 3, 4)] == [
            False,
            True,
            True,
            True,
        ]

    def test_is_not_replaced_where_that_would_end_the_day_of_another(
        self, setup: WebhookSetup, endpoint_id: UUID
    ) -> None:
        for _ in range(MAX_SECRETS - 1):
            rotate(setup, endpoint_id)

        with pytest.raises(TooManySecrets):
            rotate(setup, endpoint_id)

        assert setup.endpoint()["secret_version"] == MAX_SECRETS
        execute(setup.database, "UPDATE webhook_older_secrets SET expires_at = now() WHERE version = 1")
        rotate(setup, endpoint_id)

    @pytest.mark.parametrize("before", [0, 1, 3])
    def test_is_worth_nothing_at_once_if_its_owner_says_so(
        self, setup: WebhookSetup, endpoint_id: UUID, before: int
    ) -> None:
        for _ in range(before):
            rotate(setup, endpoint_id)
        newest = rotate(setup, endpoint_id, revoke_previous=True)
        setup.fan_out()
        setup.deliver()

        (sent,) = setup.sender.sent
        assert accepts(newest.secret, sent)
        assert newest.previous_secret_expires_at is None
        assert not any(accepts(keys.secret(endpoint_id, version), sent) for version in range(1, before + 2))


@pytest.mark.parametrize(
    ("answers", "metrics"),
    [
        ([OK], {"WebhooksDelivered": 1}),
        ([BROKEN], {"WebhookAttemptsFailed": 1}),
        ([GONE], {"WebhookAttemptsFailed": 1, "WebhooksDisabled": 1}),
    ],
)
def test_what_becomes_of_an_attempt_is_counted(
    setup: WebhookSetup, endpoint_id: UUID, answers: list[AttemptResult], metrics: dict[str, Any]
) -> None:
    setup.sender.answers = answers
    setup.fan_out()
    with recorded() as written:
        setup.deliver()
        write_metrics()

    assert written.metrics == metrics
    assert URL not in written.text, "it may hold a password of its owner's"
    assert keys.secret(endpoint_id, 1) not in written.text


def test_no_transaction_of_ours_is_open_while_a_server_is_asked(
    setup: WebhookSetup, endpoint_id: UUID
) -> None:
    seen: list[Any] = []
    setup.sender.during = lambda: seen.append(
        rows(
            setup.database,
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'",
        )
    )
    setup.fan_out()
    setup.deliver()

    # It has the process's only connection: were it taken, the look would wait for it in vain.
    assert seen == [[]]


def test_the_endpoints_error_is_on_record_whatever_it_is(setup: WebhookSetup, endpoint_id: UUID) -> None:
    for error in DeliveryError:
        setup.sender.answers = [AttemptResult(None, error)]
        execute(setup.database, "UPDATE webhook_endpoints SET status = 'ENABLED'")
        delivery_id = setup.fan_out(CONFIRMED)
        setup.deliver()
        assert setup.row(delivery_id)["last_error"] == error
