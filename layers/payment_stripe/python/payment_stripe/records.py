"""Which payment intent a key has. It is written down before the intent can move money.

A key is closed once, by a void or by a decline, and nothing confirms its intent from then on.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, TextClause, text

from orders.db import Database

_COLUMNS: Final = "payment_intent_id, closed_at IS NOT NULL AS is_closed, error"

# The update that changes nothing returns the row of whoever was first.
_OPEN: Final = text(f"""
    INSERT INTO stripe.payments (key) VALUES (:key)
    ON CONFLICT (key) DO UPDATE SET key = excluded.key
    RETURNING {_COLUMNS}
""")
_FIND: Final = text(f"SELECT {_COLUMNS} FROM stripe.payments WHERE key = :key")
# The first intent stays. A row that is closed takes none.
_KEEP: Final = text(f"""
    UPDATE stripe.payments
    SET payment_intent_id = CASE WHEN closed_at IS NULL THEN coalesce(payment_intent_id, :payment_intent_id)
                                 ELSE payment_intent_id END
    WHERE key = :key
    RETURNING {_COLUMNS}
""")
_CLOSE: Final = text(f"""
    INSERT INTO stripe.payments AS payment (key, closed_at, error) VALUES (:key, now(), :error)
    ON CONFLICT (key) DO UPDATE
    SET closed_at = coalesce(payment.closed_at, now()),
        error = CASE WHEN payment.closed_at IS NULL THEN excluded.error ELSE payment.error END
    RETURNING {_COLUMNS}
""")


@dataclass(frozen=True)
class Record:
    """What we know of a key."""

    intent_id: str | None
    is_closed: bool
    error: str | None
    """The class name of the business failure, if a decline has closed it."""


class Records:
    """The table `stripe.payments`. Each method is one statement, and may be repeated."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, key: str) -> Record:
        """The key's record, made if there is none."""
        return _record(self._row(_OPEN, key=key))

    def find(self, key: str) -> Record | None:
        row = self._row(_FIND, key=key)
        return None if row is None else _record(row)

    def keep(self, key: str, intent_id: str) -> Record:
        """Writes the intent down, unless the key has one or is closed. Returns the record as it is then."""
        return _record(self._row(_KEEP, key=key, payment_intent_id=intent_id))

    def close(self, key: str, error: str | None = None) -> Record:
        """Closes the key, also one that nobody has heard of. What closed it first stays."""
        return _record(self._row(_CLOSE, key=key, error=error))

    def _row(self, statement: TextClause, **parameters: str | None) -> Row[Any] | None:
        return self._database.transact_alone(
            lambda connection: connection.execute(statement, parameters).first()
        )


def _record(row: Row[Any] | None) -> Record:
    assert row is not None, "the statement returns a row always"
    return Record(row.payment_intent_id, row.is_closed, row.error)
