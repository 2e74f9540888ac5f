"""What the payment provider really charged and gave back, by its own records and never by ours."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
from sqlalchemy import Engine, text

from payment_stripe.amounts import from_stripe
from tools.cloud.stack import Stack
from tools.errors import Unavailable

_PAGE_SIZE: Final = 100
"""The most that Stripe's lists return at once."""
_TIMEOUT_SECONDS: Final = 30


@dataclass(frozen=True)
class Entry:
    """One movement of money at the provider."""

    key: str
    """The payment's key, as we gave it to the provider."""
    kind: str
    """CAPTURE or REFUND."""
    amount: int
    """Minor units."""
    created_at: datetime
    refund_key: str | None = None
    """Of a refund: the key that we gave it, if it was made by us under one."""


@dataclass(frozen=True)
class Ledger:
    """The provider's entries for a statement to look into."""

    rows: str
    """SQL: a query of (key, kind, amount, created_at)."""
    refunds: str
    """SQL: a query of (refund_key, amount), of what was given back under a key of ours."""
    parameters: Mapping[str, Any] = field(default_factory=dict)


# The simulator keeps its books in a schema beside ours: they are read where they are, however many there are.
SIMULATOR: Final = Ledger(
    "SELECT key, kind, amount, created_at FROM gateway.entries",
    "SELECT refund_key, amount FROM gateway.refunds",
)
_HAS_SIMULATOR: Final = text("SELECT to_regclass('gateway.entries') IS NOT NULL")


def of_entries(entries: Iterable[Entry]) -> Ledger:
    """A ledger of entries that were read from the provider."""
    document = [
        {
            "key": entry.key,
            "kind": entry.kind,
            "amount": entry.amount,
            "created_at": entry.created_at.isoformat(),
            "refund_key": entry.refund_key,
        }
        for entry in entries
    ]
    given = (
        "FROM jsonb_to_recordset(CAST(:entries AS jsonb)) "
        "AS entry (key text, kind text, amount bigint, created_at timestamptz, refund_key text)"
    )
    return Ledger(
        f"SELECT key, kind, amount, created_at {given}",
        f"SELECT refund_key, amount {given} WHERE refund_key IS NOT NULL",
        {"entries": json.dumps(document)},
    )


def read(engine: Engine, stack: Stack) -> Ledger:
    """The books of every provider that a local cloud's orders were paid through, as they are now: its stage may have
    chosen another one before.

    Raises:
        Unavailable: Stripe's fake does not answer.
    """
    ledgers = []
    with engine.connect() as connection:
        if connection.scalar(_HAS_SIMULATOR):
            ledgers.append(SIMULATOR)
    if stripe := stack.get("stripe"):
        ledgers.append(of_entries(stripe_entries(stripe["url"], stripe["api_key"])))
    return Ledger(
        " UNION ALL ".join(ledger.rows for ledger in ledgers),
        " UNION ALL ".join(ledger.refunds for ledger in ledgers),
        {name: value for ledger in ledgers for name, value in ledger.parameters.items()},
    )


def stripe_entries(url: str, api_key: str) -> Iterator[Entry]:
    """Every charge that succeeded and every refund that was not refused, from Stripe's own lists.

    What was charged without a key of ours has its own id for one, which no payment of ours knows.

    Raises:
        Unavailable: it does not answer, or not as it should.
    """
    headers = {"Authorization": f"Bearer {api_key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_SECONDS) as client:
        keys = {
            intent["id"]: (intent.get("metadata") or {}).get("key", intent["id"])
            for intent in _all(client, "payment_intents")
        }
        charges = {charge["id"]: charge for charge in _all(client, "charges")}
        key_of = {id: keys.get(charge["payment_intent"], id) for id, charge in charges.items()}
        for charge in charges.values():
            if charge["status"] == "succeeded" and charge["captured"]:
                yield Entry(key_of[charge["id"]], "CAPTURE", _amount(charge), _time(charge))
        for refund in _all(client, "refunds"):
            if refund["status"] not in {"failed", "canceled"}:
                yield Entry(
                    key_of.get(refund["charge"], refund["id"]),
                    "REFUND",
                    _amount(refund),
                    _time(refund),
                    (refund.get("metadata") or {}).get("refund_key"),
                )


def _all(client: httpx.Client, name: str) -> Iterator[dict[str, Any]]:
    """Every object of a list, page after page."""
    parameters: dict[str, str | int] = {"limit": _PAGE_SIZE}
    while True:
        try:
            response = client.get(f"/v1/{name}", params=parameters).raise_for_status()
        except httpx.HTTPError as error:
            raise Unavailable(f"The records of Stripe's fake cannot be read: {error!r}") from error
        page = response.json()
        yield from page["data"]
        if not page["has_more"]:
            return
        parameters["starting_after"] = page["data"][-1]["id"]


def _amount(thing: Mapping[str, Any]) -> int:
    return from_stripe(thing["amount"], thing["currency"].upper())


def _time(thing: Mapping[str, Any]) -> datetime:
    """The end of the second that Stripe tells, so that nothing that came since a time is left out."""
    return datetime.fromtimestamp(thing["created"], UTC) + timedelta(seconds=1)
