"""Addresses that get no mail any more: listed, looked up, and allowed again."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import unquote
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import Field
from sqlalchemy import Connection, text

from functions.operations import dependencies
from orders import operator_actions
from orders.contract import API_PREFIX
from orders.db import Database
from orders.domain import MailFeedback
from orders.errors import InvalidCursor, SuppressedAddressNotFound
from orders.http import ApiModel
from orders.openapi import responses
from orders.operator_actions import Action, Note, Operator
from orders.pages import DEFAULT_LIMIT, LAST_NUMBER, Cursor, Limit, cut, number_before

LISTING: Final = "admin suppressed-addresses"
ADDRESSES: Final = f"{API_PREFIX}/admin/suppressed-addresses"

_COLUMNS: Final = "id, address, reason, order_id, since"
_LIST: Final = text(
    f"SELECT {_COLUMNS} FROM suppressed_addresses WHERE id < :before ORDER BY id DESC LIMIT :limit"
)
_FIND: Final = text(f"SELECT {_COLUMNS} FROM suppressed_addresses WHERE digest = address_digest(:address)")
_ALLOW: Final = text(f"""
    DELETE FROM suppressed_addresses WHERE digest = address_digest(:address) RETURNING {_COLUMNS}
""")


class SuppressedAddress(ApiModel):
    """An address that no mail is sent to, whoever asks for one."""

    address: str | None = Field(
        description="In small letters. null: it is erased, with its order's contact data; or it was sent only a "
        "code. It stays suppressed, and can be looked up",
        examples=["ada@example.com"],
    )
    reason: MailFeedback = Field(
        description="A mail came back for good, or its recipient calls it unwanted", examples=["BOUNCED"]
    )
    order_id: UUID | None = Field(description="Whose mail it was; null: it was one with a confirmation code")
    since: datetime


class SuppressedAddressList(ApiModel):
    """Newest first."""

    items: list[SuppressedAddress]
    next_cursor: str | None


router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.get(ADDRESSES, responses=responses(errors=[InvalidCursor]))
def get_suppressed_addresses(limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> SuppressedAddressList:
    """Addresses that get no mail any more, because one bounced or was complained of; newest first."""
    return list_all(dependencies.database, cursor, limit)


@router.get(f"{ADDRESSES}/<address>", responses=responses(errors=[SuppressedAddressNotFound]))
def get_suppressed_address(address: str) -> SuppressedAddress:
    """Whether and why an address gets no mail any more."""
    return look_up(dependencies.database, address)


@router.delete(
    f"{ADDRESSES}/<address>",
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(HTTPStatus.NO_CONTENT, errors=[SuppressedAddressNotFound]),
)
def delete_suppressed_address(address: str, note: Annotated[Note, Query()]) -> None:
    """Lets mail go to an address again. What was suppressed meanwhile is not sent."""
    allow(dependencies.database, Operator.calling(router, note), address)


def list_all(database: Database, cursor: str | None, limit: int) -> SuppressedAddressList:
    """A page of suppressed addresses, newest first.

    Raises:
        InvalidCursor: it is not of this list.
        DatabaseUnavailable: try again.
    """
    asked = {"before": number_before(LISTING, cursor, LAST_NUMBER), "limit": limit + 1}
    rows = database.transact_alone(lambda connection: connection.execute(_LIST, asked).all())
    page, next_cursor = cut(LISTING, rows, limit)
    return SuppressedAddressList(
        items=[SuppressedAddress.of(row._mapping) for row in page], next_cursor=next_cursor
    )


def look_up(database: Database, address: str) -> SuppressedAddress:
    """The address, however it is spelled.

    Raises:
        SuppressedAddressNotFound: mail may go to it.
        DatabaseUnavailable: try again.
    """
    asked = _asked(address)
    row = database.transact_alone(lambda connection: connection.execute(_FIND, asked).first())
    if row is None:
        raise _not_found()
    return SuppressedAddress.of(row._mapping)


def allow(database: Database, operator: Operator, address: str) -> None:
    """Lets mail go to the address again. The record of it names no address.

    Raises:
        SuppressedAddressNotFound: mail may go to it already.
        DatabaseUnavailable: try again.
    """
    asked = _asked(address)

    def work(connection: Connection) -> str:
        allowed = connection.execute(_ALLOW, asked).first()
        if allowed is None:
            raise _not_found()
        target = f"suppressed-address/{allowed.id}"
        operator_actions.record(
            connection,
            operator,
            Action.ADDRESS_ALLOWED,
            target,
            order_id=allowed.order_id,
            detail=f"reason={allowed.reason} since={allowed.since:%Y-%m-%dT%H:%M:%SZ}",
        )
        return target

    operator_actions.report(operator, Action.ADDRESS_ALLOWED, database.transact(work))


def _asked(address: str) -> dict[str, str]:
    """The address as it stands in a path: a client may have encoded more of it than the gateway decodes."""
    decoded = unquote(address)
    if not decoded.isprintable():
        raise _not_found()
    return {"address": decoded}


def _not_found() -> SuppressedAddressNotFound:
    return SuppressedAddressNotFound("Mail may go to this address")
