"""What an operator may do to an order now, and in words why they may not do the rest."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.cancel_order.cancelling import cancel
from tests.integration.operations.support import Aws, Operations
from tests.integration.operations.test_review import report, stuck
from tests.integration.saga.conftest import pipeline, process, shared_credentials  # noqa: F401
from tests.integration.saga.pipeline import Order, Pipeline
from tests.integration.webhooks.test_deliveries import add_delivery
from tests.support.factories import EMAIL
from tests.support.webhooks import add_endpoint

ACTIONS = [
    "resume",
    "close as CONFIRMED",
    "close as CANCELLED",
    "cancel",
    "refund",
    "resend a notification",
    "redeliver a webhook",
]


@pytest.fixture
def operations(
    pipeline: Pipeline,  # noqa: F811
    aws: Aws,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Operations]:
    yield Operations.deployed(pipeline.database, aws, monkeypatch, pipeline.gateway)
    # Others use the database after this.
    pipeline.execute("DELETE FROM webhook_endpoints")
    pipeline.execute("DELETE FROM suppressed_addresses")


def reasons(operations: Operations, order: Order) -> dict[str, Any]:
    listed = report(operations, order)["operatorActions"]
    assert [each["action"] for each in listed] == ACTIONS
    assert all(each["isPossible"] == (each["reason"] is None) for each in listed)
    return {each["action"]: each["reason"] for each in listed}


def sent(pipeline: Pipeline, order: Order) -> None:  # noqa: F811
    """All messages of the order have been sent."""
    pipeline.execute("UPDATE notifications SET status = 'SENT' WHERE order_id = :id", id=order.order_id)


def test_a_confirmed_order_may_be_cancelled_refunded_and_told_of_again(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = pipeline.order()
    order.run()
    why = reasons(operations, order)
    assert why["resend a notification"] == "The message is on its way: it is QUEUED"
    sent(pipeline, order)
    endpoint = add_endpoint(pipeline.database)
    add_delivery(pipeline.database, endpoint, order.order_id)

    why = reasons(operations, order)

    not_in_review = "The order is CONFIRMED: it does not need review"
    assert why == {
        **dict.fromkeys(ACTIONS[:3], not_in_review),
        **dict.fromkeys(ACTIONS[3:], None),
    }


def test_an_order_that_was_confirmed_long_ago_is_refunded_and_not_cancelled(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = pipeline.order()
    order.run()
    pipeline.execute(
        "UPDATE orders SET updated_at = updated_at - interval '1 day' WHERE id = :id", id=order.order_id
    )

    why = reasons(operations, order)

    assert why["cancel"].startswith("The order could be cancelled until ")
    assert why["refund"] is None


def test_what_was_cancelled_before_is_neither_cancelled_nor_refunded(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = pipeline.order()
    order.run()
    cancel(order)

    why = reasons(operations, order)

    assert why["cancel"] == "Its cancellation was asked for before"
    assert why["refund"] == "USD 0.00 of the USD 65.00 that were captured can still be refunded"


def test_a_declined_order_says_why_nothing_is_to_be_undone(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = pipeline.order(payment_method="pm_card_declined")
    order.run()

    why = reasons(operations, order)

    assert why["cancel"] == "The order is cancelled already: PAYMENT_DECLINED"
    assert why["refund"] == "The order is CANCELLED: only a CONFIRMED one can be refunded"
    assert why["redeliver a webhook"] == "Nothing of the order was sent to a webhook"


def test_an_order_under_review_says_which_end_it_may_have(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = stuck(pipeline, "RefundPayment")
    operations.let_rest(order.order_id)

    why = reasons(operations, order)

    assert why["resume"] is None
    assert why["close as CONFIRMED"].startswith("The order cannot be CONFIRMED: stock: nothing reserved")
    assert why["close as CANCELLED"].startswith("The order cannot be CANCELLED: money not back")
    assert why["cancel"] == "An operator looks at the order, and decides how it ends"


def test_an_order_that_is_on_its_way_may_be_cancelled(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = pipeline.order()

    why = reasons(operations, order)

    assert why["cancel"] is None
    assert why["refund"] == "The order is PENDING: only a CONFIRMED one can be refunded"
    assert why["resend a notification"] == "No message of the order was asked for yet"


def test_messages_and_deliveries_say_why_they_stay(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = pipeline.order()
    order.run()
    sent(pipeline, order)
    pipeline.execute("DELETE FROM notifications WHERE channel = 'sms'")
    pipeline.execute(
        "INSERT INTO suppressed_addresses (digest, address, reason) "
        "VALUES (address_digest(:address), :address, 'COMPLAINED')",
        address=EMAIL,
    )
    endpoint = add_endpoint(pipeline.database)
    add_delivery(pipeline.database, endpoint, order.order_id)
    pipeline.execute("UPDATE webhook_endpoints SET status = 'DISABLED', disabled_reason = 'GONE'")

    why = reasons(operations, order)

    assert "COMPLAINED" in why["resend a notification"]
    assert why["redeliver a webhook"] == "The webhook is disabled: its owner has to enable it"
