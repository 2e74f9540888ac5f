"""Webhooks of all customers, failing ones first, and a delivery that is sent again for an operator."""

from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import Field
from sqlalchemy import Connection, TextClause, text

from functions.operations import dependencies, walk
from functions.operations.orders.records import parse_order_id
from functions.operations.walk import MayGoOn
from orders import operator_actions
from orders.contract import API_PREFIX
from orders.db import Database
from orders.errors import (
    DeliveryNotFound,
    InvalidCursor,
    TooManyRedeliveries,
    WebhookDisabled,
)
from orders.events import Trace
from orders.http import ApiModel, json_response
from orders.ids import LAST_ID, parse_uuid
from orders.openapi import responses
from orders.operator_actions import Action, MaybeNote, Operator
from orders.pages import DEFAULT_LIMIT, Cursor, Limit
from orders.webhooks.redelivery import redeliver
from orders.webhooks.states import (
    TEST_EVENT_TYPE,
    DeliveryError,
    DeliveryStatus,
    EndpointStatus,
    WebhookEventType,
)

EXAMINED: Final = 100
"""Webhooks that one statement looks at, at least: it takes milliseconds."""
LATEST: Final = 20
"""Deliveries of a webhook that say how it is."""

_IS_FAILING: Final = "(endpoint.status = 'DISABLED' OR last.last_error IS NOT NULL)"
_LATEST: Final = f"""
    SELECT id, status, attempts, last_status, last_error, started_at, delivered_at FROM webhook_deliveries
    WHERE endpoint_id = {{endpoint}} ORDER BY id DESC LIMIT {LATEST}
"""
_FAILURES: Final = f"""
    SELECT count(*) FROM ({_LATEST.format(endpoint="found.id")}) AS recent
    WHERE attempts > 0 AND last_error IS NOT NULL AND NOT EXISTS (
        SELECT FROM ({_LATEST.format(endpoint="found.id")}) AS newer
        WHERE newer.status = 'DELIVERED' AND newer.id > recent.id
    )
"""

# The endpoint is locked as by its owner's own request. A test belongs to no order.
_FIND: Final = text(f"""
    SELECT delivery.status, orders.correlation_id, endpoint.id AS webhook_id, endpoint.user_id,
           endpoint.status AS endpoint_status
    FROM webhook_deliveries AS delivery
        JOIN webhook_endpoints AS endpoint ON endpoint.id = delivery.endpoint_id
        JOIN orders ON orders.id = delivery.order_id
    WHERE delivery.id = :delivery_id AND delivery.order_id = :order_id
      AND delivery.event_type <> '{TEST_EVENT_TYPE}'
    FOR UPDATE OF endpoint
""")


class ListedWebhook(ApiModel):
    """A customer's webhook, and how the newest of its deliveries went."""

    webhook_id: UUID
    customer_id: str = Field(description="The account's id")
    url: str = Field(description="Without what may be a secret in it: user, password, query and fragment")
    event_types: list[WebhookEventType] | None = Field(description="What it is told; `null` is everything")
    status: EndpointStatus
    consecutive_failures: int = Field(
        description=f"Of its newest {LATEST} deliveries, those that have failed since the last one that got through"
    )
    last_status: int | None = Field(
        description="The HTTP status of the newest delivery that was tried, if there was a response"
    )
    last_error: DeliveryError | None = Field(description="Why its last attempt failed; `null`: it did not")
    last_attempt_at: datetime | None = Field(
        description="When it was delivered; of one that was not, when its attempts began"
    )
    created_at: datetime


class AllWebhooks(ApiModel):
    """Failing and disabled ones first; newest first among these, and among the others."""

    items: list[ListedWebhook]
    next_cursor: str | None = Field(
        description="Gives the next page; null on the last one. A page may have fewer webhooks than `limit`, or none, "
        "and be followed by another one"
    )


class Redelivered(ApiModel):
    order_id: UUID
    delivery_id: UUID
    status: DeliveryStatus


router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.get(f"{API_PREFIX}/admin/webhooks", responses=responses(errors=[InvalidCursor]))
def get_all_webhooks(
    status: Annotated[EndpointStatus | None, Query()] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> AllWebhooks:
    """Webhooks of all customers, failing ones first."""
    may_go_on = dependencies.may_go_on(router.lambda_context)
    return list_webhooks(dependencies.database, status, cursor, limit, may_go_on)


@router.post(
    f"{API_PREFIX}/admin/orders/<order_id>/deliveries/<delivery_id>/redeliver",
    status_code=HTTPStatus.ACCEPTED,
    responses=responses(HTTPStatus.ACCEPTED, errors=[DeliveryNotFound, WebhookDisabled, TooManyRedeliveries]),
)
def post_order_redeliver(
    order_id: str, delivery_id: str, why: Annotated[MaybeNote, Body()]
) -> Response[Redelivered]:
    """Sends a delivery of an order to a webhook again, soon; its `webhook-id` stays the same. It counts against what
    the webhook's owner may have sent again in an hour."""
    sent = redeliver_of_order(
        dependencies.database,
        Operator.calling(router, why.note),
        parse_order_id(order_id),
        delivery_id,
        dependencies.settings.redeliveries_per_hour,
    )
    return json_response(sent, HTTPStatus.ACCEPTED)


def list_webhooks(
    database: Database, status: EndpointStatus | None, cursor: str | None, limit: int, may_go_on: MayGoOn
) -> AllWebhooks:
    """A page of all customers' webhooks.

    Raises:
        InvalidCursor: it is not of this list.
        DatabaseUnavailable: try again.
    """
    rows, next_cursor = walk.collect_each(database, lists(status), cursor, limit, may_go_on)
    items = [
        ListedWebhook.of(row._mapping, webhook_id=row.id, customer_id=row.user_id, url=_shown(row.url))
        for row in rows
    ]
    return AllWebhooks(items=items, next_cursor=next_cursor)


def lists(status: EndpointStatus | None) -> list[tuple[str, walk.Statement]]:
    """The listings that make up the list, each with its statement."""
    return [
        (f"admin webhooks {status} {name}", partial(_statement, condition, status))
        for name, condition in {"failing": _IS_FAILING, "others": f"NOT {_IS_FAILING}"}.items()
    ]


def redeliver_of_order(
    database: Database, operator: Operator, order_id: UUID, delivery_id: str, per_hour: int
) -> Redelivered:
    """Sends a delivery of the order again. One that is still being tried is tried at once, however often this is asked
    for.

    Raises:
        DeliveryNotFound: the order has no such delivery.
        WebhookDisabled, TooManyRedeliveries: as for its owner.
        DatabaseUnavailable: try again.
    """
    uuid = parse_uuid(delivery_id)
    if uuid is None:
        raise _no_delivery()

    def work(connection: Connection) -> None:
        found = connection.execute(_FIND, {"order_id": order_id, "delivery_id": uuid}).first()
        if found is None:
            raise _no_delivery()
        redeliver(
            connection,
            uuid,
            owner=found.user_id,
            endpoint_status=found.endpoint_status,
            trace=Trace(found.correlation_id, operator.traceparent),
            per_hour=per_hour,
        )
        operator_actions.record(
            connection,
            operator,
            Action.WEBHOOK_REDELIVERED,
            str(uuid),
            order_id=order_id,
            detail=f"webhook={found.webhook_id} was={found.status}",
        )

    database.transact(work)
    operator_actions.report(operator, Action.WEBHOOK_REDELIVERED, str(uuid), order_id)
    return Redelivered(order_id=order_id, delivery_id=uuid, status=DeliveryStatus.PENDING)


def _statement(
    condition: str, status: EndpointStatus | None, start: UUID | None, limit: int
) -> tuple[TextClause, dict[str, Any]]:
    sql = f"""
        WITH candidate AS MATERIALIZED (
            SELECT id FROM webhook_endpoints WHERE id < :before ORDER BY id DESC LIMIT :examined
        )
        SELECT seen.examined, seen.last_id, found.*, ({_FAILURES}) AS consecutive_failures
        FROM (
            SELECT count(*) AS examined, (SELECT id FROM candidate ORDER BY id LIMIT 1) AS last_id FROM candidate
        ) AS seen LEFT JOIN LATERAL (
            SELECT one.* FROM candidate CROSS JOIN LATERAL (
                SELECT endpoint.id, endpoint.user_id, endpoint.url, endpoint.event_types, endpoint.status,
                       endpoint.created_at, last.last_status, last.last_error,
                       coalesce(last.delivered_at, last.started_at) AS last_attempt_at
                FROM webhook_endpoints AS endpoint LEFT JOIN LATERAL (
                    SELECT * FROM ({_LATEST.format(endpoint="endpoint.id")}) AS latest
                    WHERE attempts > 0 ORDER BY id DESC LIMIT 1
                ) AS last ON true
                WHERE endpoint.id = candidate.id AND {condition}
                  AND endpoint.status = coalesce(CAST(:status AS text), endpoint.status) OFFSET 0
            ) AS one
            ORDER BY one.id DESC
            LIMIT :limit
        ) AS found ON true
        ORDER BY found.id DESC
    """
    return text(sql), {
        "before": start or LAST_ID,
        "examined": max(EXAMINED, limit + 1),
        "limit": limit + 1,
        "status": status,
    }


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _no_delivery() -> DeliveryNotFound:
    return DeliveryNotFound("The order has no such delivery")
