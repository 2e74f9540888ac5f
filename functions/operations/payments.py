"""Payments of all customers, those first that somebody should look at."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import Field
from sqlalchemy import Row, TextClause, text

from functions.operations import dependencies, walk
from functions.operations.walk import MayGoOn
from orders.contract import API_PREFIX
from orders.db import Database
from orders.domain import Locale, OrderStatus, PaymentStatus
from orders.errors import InvalidCursor
from orders.http import ApiModel
from orders.ids import LAST_ID
from orders.money import format_money
from orders.openapi import responses
from orders.pages import DEFAULT_LIMIT, Cursor, Limit
from orders.repairs import Repair

EXAMINED: Final = 200
"""Payments that one statement looks at, at least: it takes milliseconds."""
RECENT_REPAIRS: Final = 1_000
"""The newest ones, among which conflicts are looked for that are to be listed first."""

Wanted = PaymentStatus | Literal["CONFLICT"]

# The CASEs are the conditions of `payments_undecided` and `orders_in_review`.
_UNDECIDED: Final = """
    SELECT order_id AS id FROM payments WHERE CASE WHEN status IN ('PENDING', 'UNKNOWN') THEN true ELSE false END
"""
_IN_REVIEW: Final = "SELECT id FROM orders WHERE CASE WHEN status = 'NEEDS_REVIEW' THEN true ELSE false END"
# An array of one, and an order by what is the same in all rows: only the index of orders by status has them in it.
_WAITING: Final = f"""
    (SELECT id FROM orders WHERE status = ANY (ARRAY['PROCESSING']) AND id < :before
     ORDER BY status, id DESC LIMIT :examined)
    UNION ALL {_IN_REVIEW}
"""
_TO_LOOK_AT: Final = f"""
    {_UNDECIDED} AND status = 'UNKNOWN'
    UNION {_IN_REVIEW}
    UNION SELECT order_id FROM (
        SELECT order_id, kind FROM repairs ORDER BY id DESC LIMIT {RECENT_REPAIRS}
    ) AS recent WHERE kind = '{Repair.PAYMENT_CONFLICT}'
"""
_ALL: Final = "SELECT order_id AS id FROM payments"

# Promise I3. What was found at the gateway counts until the record is settled.
_BOOKS: Final = f"""
    payments JOIN orders ON orders.id = payments.order_id
    CROSS JOIN LATERAL (
        SELECT CASE orders.status WHEN 'CONFIRMED' THEN orders.total_amount - coalesce((
            SELECT sum(refund.amount) FROM refunds AS refund
            WHERE refund.order_id = orders.id AND refund.refunded_at IS NOT NULL
        ), 0) ELSE 0 END AS amount
    ) AS due
    LEFT JOIN LATERAL (
        SELECT detail FROM repairs
        WHERE repairs.order_id = orders.id AND kind = '{Repair.PAYMENT_CONFLICT}'
          AND repairs.created_at >= payments.updated_at
        ORDER BY repairs.id DESC LIMIT 1
    ) AS conflict ON true
"""
_CONFLICT: Final = """
    (conflict.detail IS NOT NULL
     OR orders.status IN ('CONFIRMED', 'CANCELLED') AND captured - refunded <> due.amount)
"""


class ListedPayment(ApiModel):
    """Our record of an order's payment; amounts in minor units of `currency`."""

    order_id: UUID
    order_status: OrderStatus
    status: PaymentStatus
    amount: int
    currency: str
    captured: int
    refunded: int
    attempts: int
    provider_payment_id: str | None
    updated_at: datetime
    finding: str | None = Field(
        description="Why somebody should look at it",
        examples=["the order is CANCELLED, but USD 65.00 is held instead of USD 0.00"],
    )


class PaymentList(ApiModel):
    """Newest orders first; unless a status is asked for, before them what somebody should look at: payments that are
    UNKNOWN, of orders under review, or in conflict with the payment provider's record."""

    items: list[ListedPayment]
    next_cursor: str | None = Field(
        description="Gives the next page; null on the last one. A page may have fewer payments than `limit`, or none, "
        "and be followed by another one"
    )


router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.get(f"{API_PREFIX}/admin/payments", responses=responses(errors=[InvalidCursor]))
def get_payments(
    status: Annotated[
        Wanted | None,
        Query(description="`CONFLICT`: our books, or the payment provider's, disagree with the order's end"),
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> PaymentList:
    """Payments of all customers; first those that somebody should look at."""
    may_go_on = dependencies.may_go_on(router.lambda_context)
    return list_payments(dependencies.database, status, cursor, limit, may_go_on)


def list_payments(
    database: Database, wanted: Wanted | None, cursor: str | None, limit: int, may_go_on: MayGoOn
) -> PaymentList:
    """A page of payments.

    Raises:
        InvalidCursor: it is not of this list.
        DatabaseUnavailable: try again.
    """
    rows, next_cursor = walk.collect_each(database, lists(wanted), cursor, limit, may_go_on)
    return PaymentList(
        items=[ListedPayment.of(row._mapping, order_id=row.id, finding=_finding(row)) for row in rows],
        next_cursor=next_cursor,
    )


def lists(wanted: Wanted | None) -> list[tuple[str, walk.Statement]]:
    """The listings that make up the list, each with its statement."""
    chosen: dict[str, tuple[str, str]]
    match wanted:
        case None:
            chosen = {
                "to look at": (_TO_LOOK_AT, "true"),
                "the others": (_ALL, f"payments.order_id NOT IN ({_TO_LOOK_AT})"),
            }
        case "CONFLICT":
            chosen = {"CONFLICT": (_ALL, _CONFLICT)}
        case PaymentStatus.PENDING | PaymentStatus.UNKNOWN:
            chosen = {wanted: (f"{_UNDECIDED} AND status = '{wanted}'", "true")}
        case PaymentStatus.ACTION_REQUIRED:
            # Only orders on their way, or under review, have one.
            chosen = {wanted: (_WAITING, f"payments.status = '{wanted}'")}
        case _:
            chosen = {wanted: (_ALL, f"payments.status = '{wanted}'")}
    return [
        (f"admin payments {name}", partial(_statement, source, condition))
        for name, (source, condition) in chosen.items()
    ]


def _statement(
    source: str, condition: str, start: UUID | None, limit: int
) -> tuple[TextClause, dict[str, Any]]:
    examined = limit + 1 if condition == "true" else max(EXAMINED, limit + 1)
    # What few rows have is found as a whole, by its index: asked for in the order of ids, Postgres might look for it
    # among all.
    kept = "NOT MATERIALIZED" if source is _ALL else "MATERIALIZED"
    sql = f"""
        WITH source AS {kept} ({source}), candidate AS MATERIALIZED (
            SELECT id FROM source WHERE id < :before ORDER BY id DESC LIMIT :examined
        )
        SELECT seen.examined, seen.last_id, found.*
        FROM (
            SELECT count(*) AS examined, (SELECT id FROM candidate ORDER BY id LIMIT 1) AS last_id FROM candidate
        ) AS seen LEFT JOIN LATERAL (
            SELECT one.* FROM candidate CROSS JOIN LATERAL (
                SELECT payments.order_id AS id, orders.status AS order_status, payments.status, payments.amount,
                       payments.currency, captured, refunded, attempts, provider_payment_id, payments.updated_at,
                       due.amount AS due, conflict.detail AS conflict
                FROM {_BOOKS}
                WHERE payments.order_id = candidate.id AND {condition} OFFSET 0
            ) AS one
            ORDER BY one.id DESC
            LIMIT :limit
        ) AS found ON true
        ORDER BY found.id DESC
    """
    return text(sql), {"before": start or LAST_ID, "examined": examined, "limit": limit + 1}


def _finding(row: Row[Any]) -> str | None:
    money: Callable[[int], str] = partial(_money, row.currency)
    held = row.captured - row.refunded
    found = []
    if row.status == PaymentStatus.UNKNOWN:
        found.append("nobody knows yet whether it was captured: the payment provider is asked again")
    if row.order_status == OrderStatus.NEEDS_REVIEW:
        found.append("the order needs review")
    elif OrderStatus(row.order_status).is_terminal and held != row.due:
        found.append(
            f"the order is {row.order_status}, but {money(held)} is held instead of {money(row.due)}"
        )
    if row.conflict is not None:
        found.append(f"the payment provider's record differs: {row.conflict}")
    return "; ".join(found) or None


def _money(currency: str, amount: int) -> str:
    return format_money(int(amount), currency, Locale.EN)
