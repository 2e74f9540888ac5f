"""From an order's end to a webhook that got through, or to one that is disabled."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from functions.deliver_webhooks.attempts import MAX_UNDER_WAY
from functions.deliver_webhooks.deliver import AttemptUnderWay
from functions.deliver_webhooks.schedule import JITTER
from functions.deliver_webhooks.sender import AttemptResult
from functions.webhooks import delivery_history, endpoints
from orders.events import CONSUMER_OF, Queue
from orders.observability import write_metrics
from orders.webhooks.keys import SigningKeys
from orders.webhooks.states import DeliveryError
from tests.integration.deliver_webhooks.world import (
    BROKEN,
    CANCELLED,
    CONFIRMED,
    GONE,
    OK,
    WAITS,
    Killed,
    World,
)
from tests.support.factories import ALICE, BOB, EMAIL, PHONE, TRACE, add_order, execute, rows
from tests.support.webhooks import KEY, URL, add_endpoint
from tests.support.written import recorded

keys = SigningKeys(lambda: KEY)


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_an_order_that_ended_is_one_request_to_its_owners_webhook(world: World, endpoint_id: UUID) -> None:
    event = world.end_order()
    world.handle(event)
    world.deliver()

    (sent,) = world.sender.sent
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
    (delivery,) = rows(world.database, "SELECT * FROM webhook_deliveries")
    assert (delivery["status"], delivery["attempts"], delivery["last_status"]) == ("DELIVERED", 1, 200)
    assert delivery["delivered_at"] is not None
    assert delivery["next_attempt_at"] is None
    assert world.pending() == 0


def test_a_cancelled_order_says_why_and_nothing_says_whose_it_is(world: World, endpoint_id: UUID) -> None:
    world.fan_out(CANCELLED)
    world.deliver()

    (sent,) = world.sender.sent
    data = json.loads(sent.body)["data"]
    assert (data["status"], data["failureReason"]) == ("CANCELLED", "PAYMENT_DECLINED")
    assert not any(secret in sent.body for secret in (EMAIL, PHONE, ALICE, "pm_card"))


def test_another_secret_or_another_body_is_not_verified(world: World, endpoint_id: UUID) -> None:
    world.fan_out()
    world.deliver()

    (sent,) = world.sender.sent
    with pytest.raises(WebhookVerificationError):
        Webhook(keys.secret(uuid4(), 1)).verify(sent.body, sent.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(keys.secret(endpoint_id, 1)).verify(sent.body.replace("2500", "1"), sent.headers)


def test_each_endpoint_of_the_owner_has_its_delivery_and_no_one_elses(world: World) -> None:
    for slot in range(1, 6):
        add_endpoint(world.database, slot=slot, url=f"https://{slot}.example.com/")
    add_endpoint(world.database, user_id=BOB)
    execute(world.database, "UPDATE webhook_endpoints SET status = 'DISABLED' WHERE slot = 3")
    event = world.end_order()

    world.handle(event)
    # SQS delivers at least once.
    world.handle(event)
    assert rows(world.database, "SELECT consumer, event_id FROM inbox") == [
        {"consumer": CONSUMER_OF[Queue.WEBHOOK_DELIVERY], "event_id": event.id}
    ]
    while world.pending():
        world.deliver()
        if world.pending():
            world.pass_time()

    assert sorted(sent.url for sent in world.sender.sent) == [
        f"https://{slot}.example.com/" for slot in (1, 2, 4, 5)
    ]
    assert len({sent.headers["webhook-signature"] for sent in world.sender.sent}) == 4


def test_a_message_that_comes_twice_is_sent_once(world: World, endpoint_id: UUID) -> None:
    world.fan_out()
    (event,) = world.due()

    world.handle(event)
    world.handle(event)

    assert len(world.sender.sent) == 1


def test_the_message_of_an_attempt_that_failed_is_not_worked_on_again(
    world: World, endpoint_id: UUID
) -> None:
    """SQS gives it out twice, and the next attempt is only due later."""
    world.sender.answers = [BROKEN]
    delivery_id = world.fan_out()
    (event,) = world.due()

    world.handle(event)
    world.handle(event)

    assert len(world.sender.sent) == 1
    assert world.row(delivery_id)["attempts"] == 1
    assert world.pending() == 1


def test_a_failed_attempt_is_repeated_with_the_same_id_and_body_and_a_fresh_signature(
    world: World, endpoint_id: UUID
) -> None:
    world.sender.answers = [BROKEN, OK]
    delivery_id = world.fan_out()
    world.deliver()

    waiting = world.row(delivery_id)
    assert (waiting["status"], waiting["attempts"], waiting["last_status"], waiting["last_error"]) == (
        "PENDING",
        1,
        500,
        "HTTP_STATUS",
    )
    assert world.deliver() == 0
    world.pass_time()
    world.deliver()

    first, second = world.sender.sent
    assert second.body == first.body
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    Webhook(keys.secret(endpoint_id, 1)).verify(second.body, second.headers)
    delivered = world.row(delivery_id)
    assert (delivered["status"], delivered["attempts"], delivered["last_error"]) == ("DELIVERED", 2, None)


def test_the_waits_grow_over_a_day_and_then_the_endpoint_is_disabled(world: World, endpoint_id: UUID) -> None:
    world.sender.answers = [BROKEN]
    delivery_id = world.fan_out()

    with recorded() as written:
        world.deliver()
        for nominal in WAITS:
            waiting = world.row(delivery_id)
            assert waiting["status"] == "PENDING"
            seconds = world.pass_time()
            assert (1 - JITTER) * nominal - 5 <= seconds <= (1 + JITTER) * nominal
            assert world.deliver() == 1

    assert len(world.sender.sent) == len(WAITS) + 1
    given_up = world.row(delivery_id)
    assert (given_up["status"], given_up["attempts"], given_up["next_attempt_at"]) == ("FAILED", 9, None)
    endpoint = world.endpoint()
    assert (endpoint["status"], endpoint["disabled_reason"]) == ("DISABLED", "UNDELIVERABLE")
    assert endpoint["disabled_at"] is not None
    assert world.pending() == 0
    (line,) = written.logs("Webhook disabled")
    assert (line["webhook_id"], line["delivery_id"]) == (str(endpoint_id), str(delivery_id))


def test_an_endpoint_where_other_events_get_through_is_not_disabled_for_one_that_does_not(
    world: World, endpoint_id: UUID
) -> None:
    delivery_id = world.fan_out()
    execute(
        world.database,
        "UPDATE webhook_deliveries SET attempts = 8, started_at = now() - interval '1 day'",
    )
    world.due()
    world.fan_out()
    world.deliver()

    world.sender.answers = [BROKEN]
    world.schedule(delivery_id, attempt=9)
    world.deliver()

    assert world.row(delivery_id)["status"] == "FAILED"
    assert world.endpoint()["status"] == "ENABLED"


def test_what_was_put_off_for_more_than_a_day_is_given_up_with_its_next_failure(
    world: World, endpoint_id: UUID
) -> None:
    world.sender.answers = [BROKEN]
    delivery_id = world.fan_out()
    execute(world.database, "UPDATE webhook_deliveries SET started_at = now() - interval '2 days'")

    world.deliver()

    assert world.row(delivery_id)["status"] == "FAILED"
    assert world.endpoint()["status"] == "DISABLED"


def test_an_endpoint_that_says_it_is_gone_is_disabled_at_once(world: World, endpoint_id: UUID) -> None:
    world.sender.answers = [GONE]
    delivery_id = world.fan_out()
    world.deliver()

    assert (world.row(delivery_id)["status"], world.row(delivery_id)["last_status"]) == ("FAILED", 410)
    assert (world.endpoint()["status"], world.endpoint()["disabled_reason"]) == ("DISABLED", "GONE")
    assert world.pending() == 0


def test_nothing_is_sent_to_a_disabled_endpoint(world: World, endpoint_id: UUID) -> None:
    waiting = world.fan_out()
    execute(world.database, "UPDATE webhook_endpoints SET status = 'DISABLED'")

    world.deliver()
    world.handle(world.end_order())

    assert world.sender.sent == []
    assert (world.row(waiting)["status"], world.row(waiting)["last_error"]) == (
        "FAILED",
        "ENDPOINT_DISABLED",
    )
    assert len(rows(world.database, "SELECT id FROM webhook_deliveries")) == 1
    assert world.pending() == 0


def test_an_enabled_endpoint_hears_of_the_next_order_and_has_the_last_one_sent_again(
    world: World, endpoint_id: UUID
) -> None:
    world.sender.answers = [GONE, OK]
    missed = world.fan_out()
    world.deliver()

    endpoints.enable(world.database, ALICE, str(endpoint_id))
    delivery_history.send_again(world.database, ALICE, str(endpoint_id), str(missed), TRACE)
    world.fan_out()
    world.deliver()

    assert [row["status"] for row in rows(world.database, "SELECT status FROM webhook_deliveries")] == [
        "DELIVERED"
    ] * 2


def test_sending_again_repeats_the_same_webhook_and_has_a_schedule_of_its_own(
    world: World, endpoint_id: UUID
) -> None:
    delivery_id = world.fan_out()
    world.deliver()
    execute(world.database, "UPDATE webhook_deliveries SET started_at = now() - interval '9 days'")
    world.sender.answers = [BROKEN, OK]

    delivery_history.send_again(world.database, ALICE, str(endpoint_id), str(delivery_id), TRACE)
    world.deliver()
    assert world.pass_time() <= (1 + JITTER) * WAITS[0]
    world.deliver()

    assert len({(sent.headers["webhook-id"], sent.body) for sent in world.sender.sent}) == 1
    assert len(world.sender.sent) == 3
    assert (world.row(delivery_id)["status"], world.row(delivery_id)["attempts"]) == ("DELIVERED", 3)


def test_an_attempt_that_was_brought_forward_is_not_made_again_at_its_old_time(
    world: World, endpoint_id: UUID
) -> None:
    world.sender.answers = [BROKEN, OK]
    delivery_id = world.fan_out()
    world.deliver()

    delivery_history.send_again(world.database, ALICE, str(endpoint_id), str(delivery_id), TRACE)
    world.deliver()
    world.pass_time()
    world.deliver()

    assert len(world.sender.sent) == 2
    assert world.row(delivery_id)["status"] == "DELIVERED"


def test_a_webhook_that_was_deleted_meanwhile_is_not_called(world: World, endpoint_id: UUID) -> None:
    world.fan_out()
    endpoints.remove(world.database, ALICE, str(endpoint_id))

    world.deliver()

    assert world.sender.sent == []


class TestASenderThatDies:
    def test_after_it_sent_has_the_same_webhook_sent_again(self, world: World, endpoint_id: UUID) -> None:
        world.sender.during = raising(Killed())
        delivery_id = world.fan_out()
        (event,) = world.due()
        with pytest.raises(Killed):
            world.handle(event)

        # The message is not visible before the lease has ended.
        execute(world.database, "UPDATE webhook_deliveries SET lease_until = now() - interval '1 second'")
        world.sender.during = lambda: None
        world.handle(event)

        first, second = world.sender.sent
        assert (second.headers["webhook-id"], second.body) == (first.headers["webhook-id"], first.body)
        assert (world.row(delivery_id)["status"], world.row(delivery_id)["attempts"]) == ("DELIVERED", 1)

    def test_is_waited_for_while_it_may_be_alive(self, world: World, endpoint_id: UUID) -> None:
        world.fan_out()
        (event,) = world.due()
        doubled: list[BaseException] = []

        def comes_again() -> None:
            with pytest.raises(AttemptUnderWay) as raised:
                World(world.database).handle(event)
            doubled.append(raised.value)

        world.sender.during = comes_again
        world.handle(event)

        assert len(doubled) == 1
        assert len(world.sender.sent) == 1

    def test_and_comes_to_its_end_after_all_knows_best(self, world: World, endpoint_id: UUID) -> None:
        """Frozen for longer than its lease: another one has failed meanwhile, and a next attempt is scheduled."""
        other = World(world.database)
        other.sender.answers = [BROKEN]
        delivery_id = world.fan_out()
        (event,) = world.due()

        def meanwhile() -> None:
            execute(world.database, "UPDATE webhook_deliveries SET lease_until = now() - interval '1 second'")
            other.handle(event)

        world.sender.during = meanwhile
        world.handle(event)
        assert world.row(delivery_id)["status"] == "DELIVERED"

        world.pass_time()
        world.deliver()
        assert len(world.sender.sent) == 1


class TestManyOfOneCustomer:
    @pytest.fixture
    def busy(self, world: World, endpoint_id: UUID) -> World:
        """As many of one customer's attempts are under way as one may have."""
        for _ in range(MAX_UNDER_WAY):
            world.fan_out()
        world.due()
        execute(world.database, "UPDATE webhook_deliveries SET lease_until = now() + interval '1 minute'")
        return world

    def test_wait_for_each_other(self, busy: World) -> None:
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

    def test_and_are_asked_about_less_often_the_longer_it_takes(self, busy: World) -> None:
        busy.fan_out()
        waits = []
        for _ in range(6):
            busy.deliver()
            waits.append(busy.pass_time())

        assert waits[5] > 10 * waits[0]

    def test_do_not_keep_anybody_else_waiting(self, busy: World) -> None:
        add_endpoint(busy.database, user_id=BOB, url="https://bob.example.com/")
        busy.handle(busy.end_order(order_id=add_order(busy.database, user_id=BOB)))

        busy.deliver()

        assert [sent.url for sent in busy.sender.sent] == ["https://bob.example.com/"]


class TestAReplacedSecret:
    def test_is_signed_with_beside_the_new_one_for_a_day(self, world: World, endpoint_id: UUID) -> None:
        rotated = endpoints.rotate_secret(world.database, keys, ALICE, str(endpoint_id))
        world.fan_out()
        world.deliver()

        (sent,) = world.sender.sent
        for secret in (rotated.secret, keys.secret(endpoint_id, 1)):
            Webhook(secret).verify(sent.body, sent.headers)

    def test_and_not_any_more_afterwards(self, world: World, endpoint_id: UUID) -> None:
        endpoints.rotate_secret(world.database, keys, ALICE, str(endpoint_id))
        execute(world.database, "UPDATE webhook_endpoints SET previous_secret_until = now()")
        world.fan_out()
        world.deliver()

        (sent,) = world.sender.sent
        with pytest.raises(WebhookVerificationError):
            Webhook(keys.secret(endpoint_id, 1)).verify(sent.body, sent.headers)

    def test_is_worth_nothing_once_it_was_replaced_twice(self, world: World, endpoint_id: UUID) -> None:
        for _ in range(2):
            endpoints.rotate_secret(world.database, keys, ALICE, str(endpoint_id))
        world.fan_out()
        world.deliver()

        (sent,) = world.sender.sent
        with pytest.raises(WebhookVerificationError):
            Webhook(keys.secret(endpoint_id, 1)).verify(sent.body, sent.headers)


@pytest.mark.parametrize(
    ("answers", "metrics"),
    [
        ([OK], {"WebhooksDelivered": 1}),
        ([BROKEN], {"WebhookAttemptsFailed": 1}),
        ([GONE], {"WebhookAttemptsFailed": 1, "WebhooksDisabled": 1}),
    ],
)
def test_what_becomes_of_an_attempt_is_counted(
    world: World, endpoint_id: UUID, answers: list[AttemptResult], metrics: dict[str, Any]
) -> None:
    world.sender.answers = answers
    world.fan_out()
    with recorded() as written:
        world.deliver()
        write_metrics()

    assert written.metrics == metrics
    assert URL not in written.text, "it may hold a password of its owner's"
    assert keys.secret(endpoint_id, 1) not in written.text


def test_no_transaction_of_ours_is_open_while_a_server_is_asked(world: World, endpoint_id: UUID) -> None:
    seen: list[Any] = []
    world.sender.during = lambda: seen.append(
        rows(
            world.database,
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'",
        )
    )
    world.fan_out()
    world.deliver()

    # It has the process's only connection: were it taken, the look would wait for it in vain.
    assert seen == [[]]


def test_the_endpoints_error_is_on_record_whatever_it_is(world: World, endpoint_id: UUID) -> None:
    for error in DeliveryError:
        world.sender.answers = [AttemptResult(None, error)]
        execute(world.database, "UPDATE webhook_endpoints SET status = 'ENABLED'")
        delivery_id = world.fan_out(CONFIRMED)
        world.deliver()
        assert world.row(delivery_id)["last_error"] == error
