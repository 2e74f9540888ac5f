"""Addresses that get no mail any more: an operator sees which and why, and allows one again."""

from urllib.parse import quote
from uuid import UUID

import pytest

from functions.operations.suppressed_addresses import LISTING
from orders import suppressed_addresses
from orders.db import Database
from orders.domain import MailFeedback
from orders.ids import FIRST_ID
from orders.pages import cursor_after
from tests.integration.mail_feedback.mails import Mails
from tests.integration.operations.support import ADMIN, OPERATOR, Operations
from tests.support.api import every_page
from tests.support.factories import EMAIL, execute, rows
from tests.support.mail_events import bounce
from tests.support.written import recorded

ADDRESSES = f"{ADMIN}/suppressed-addresses"
NOTE = "its+mailbox+was+repaired"


@pytest.fixture
def mails(database: Database, monkeypatch: pytest.MonkeyPatch) -> Mails:
    return Mails.installed(database, monkeypatch)


def add(database: Database, address: str, order_id: UUID | None) -> None:
    database.transact(
        lambda connection: suppressed_addresses.suppress(connection, address, MailFeedback.BOUNCED, order_id)
    )


def test_they_are_listed_newest_first_page_by_page(
    operations: Operations, mails: Mails, database: Database
) -> None:
    order_id = mails.order()
    addresses = [f"ada{number}@example.com" for number in range(5)]
    for address in addresses:
        add(database, address, order_id)

    pages = every_page(operations.admin, ADDRESSES, limit=2)

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [item["address"] for page in pages for item in page] == addresses[::-1]
    assert pages[0][0] | {"since": None} == {
        "address": addresses[-1],
        "reason": "BOUNCED",
        "orderId": str(order_id),
        "since": None,
    }


def test_what_came_of_a_code_names_no_address_and_is_found_by_it(
    operations: Operations, database: Database
) -> None:
    add(database, "friend@example.com", None)

    assert operations.admin.get(ADDRESSES).json["items"][0]["address"] is None
    found = operations.admin.get(f"{ADDRESSES}/Friend@example.com")
    assert (found.status, found.json["reason"], found.json["orderId"]) == (200, "BOUNCED", None)


@pytest.mark.parametrize(
    "address", ["ada@example.com", "ada+news@example.com", "o'neill@example.com", "a_d-a.x@sub.example.com"]
)
@pytest.mark.parametrize("encoded", [True, False])
def test_an_address_is_looked_up_however_it_is_written(
    operations: Operations, mails: Mails, database: Database, address: str, encoded: bool
) -> None:
    add(database, address, mails.order())
    path = quote(address.upper(), safe="") if encoded else address.upper()

    assert operations.admin.get(f"{ADDRESSES}/{path}").json["address"] == address


@pytest.mark.parametrize("path", ["bob@example.com", "nobody", "%00", "ada%00@example.com", "x" * 2000])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_address_that_may_get_mail_is_not_found(operations: Operations, method: str, path: str) -> None:
    answer = operations.admin.call(method, f"{ADDRESSES}/{path}" + ("?note=x" if method == "DELETE" else ""))

    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (404, "suppressed-address-not-found")
    assert operations.actions() == []


def test_an_allowed_address_gets_mail_again(operations: Operations, mails: Mails) -> None:
    order_id = mails.order()
    mails.hear(bounce(mails.tell(order_id)["provider_id"], EMAIL))
    assert mails.tell(mails.order())["status"] == "SUPPRESSED"

    with recorded() as written:
        assert operations.admin.delete(f"{ADDRESSES}/{EMAIL}?note={NOTE}").status == 204

    assert mails.tell(mails.order())["status"] == "SENT"
    (action,) = operations.actions()
    assert (action["action"], action["operator"], action["order_id"]) == (
        "ADDRESS_ALLOWED",
        OPERATOR,
        order_id,
    )
    assert action["note"] == NOTE.replace("+", " ")
    assert action["detail"].startswith("reason=BOUNCED since=20")
    assert EMAIL not in str(action)
    assert EMAIL not in written.text
    assert written.metrics == {"OperatorActions": 1}
    assert operations.admin.delete(f"{ADDRESSES}/{EMAIL}?note={NOTE}").status == 404


@pytest.mark.parametrize(
    "query", ["", "?note=", "?note=%0A", "?note=a&note=b", f"?note={'x' * 501}", "?why=x"]
)
def test_nobody_allows_one_without_a_note(
    operations: Operations, mails: Mails, database: Database, query: str
) -> None:
    add(database, EMAIL, mails.order())

    answer = operations.admin.delete(f"{ADDRESSES}/{EMAIL}{query}")

    assert answer.status == 422
    assert len(rows(database, "SELECT id FROM suppressed_addresses")) == 1
    assert operations.actions() == []


@pytest.mark.parametrize(
    "cursor", ["nonsense", cursor_after("admin outbox", 1), cursor_after(LISTING, FIRST_ID)]
)
def test_a_cursor_of_another_list_is_refused(operations: Operations, cursor: str) -> None:
    assert operations.admin.get(f"{ADDRESSES}?cursor={cursor}").pointers == ["#/query/cursor"]


def test_an_erased_address_is_still_found_and_allowed(
    operations: Operations, mails: Mails, database: Database
) -> None:
    add(database, EMAIL, mails.order())
    execute(database, "UPDATE suppressed_addresses SET address = NULL")

    assert operations.admin.get(f"{ADDRESSES}/{EMAIL}").json["address"] is None
    assert operations.admin.delete(f"{ADDRESSES}/{EMAIL}?note=asked").status == 204
    assert rows(database, "SELECT id FROM suppressed_addresses") == []
