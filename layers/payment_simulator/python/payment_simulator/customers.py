"""What a customer does at the provider, e.g. on the page of their bank: the simulator has no such page, so
demonstrations and tests do it for them."""

from typing import Final

from sqlalchemy import Connection, TextClause, text

from orders.errors import PaymentDeclined
from payment_simulator.outages import IS_DOWN

# Only once, and only while the payment waits for it: also what is voided is over.
_WAITING: Final = f"WHERE key = :key AND status = 'ACTION_REQUIRED' AND NOT {IS_DOWN}"
_COMPLETE: Final = text(f"""
    WITH captured AS (
        UPDATE gateway.payments SET status = 'CAPTURED' {_WAITING} RETURNING key, amount
    )
    INSERT INTO gateway.entries (key, kind, amount) SELECT key, 'CAPTURE', amount FROM captured RETURNING key
""")
_FAIL: Final = text(f"""
    UPDATE gateway.payments SET status = 'DECLINED', error = '{PaymentDeclined.__name__}' {_WAITING} RETURNING key
""")


def complete(connection: Connection, key: str) -> bool:
    """The customer authenticates the payment, and it is captured. False: nothing waits for that, e.g. it is voided."""
    return _act(connection, _COMPLETE, key)


def fail(connection: Connection, key: str) -> bool:
    """The customer cannot authenticate the payment, and it is declined. False: as for `complete`."""
    return _act(connection, _FAIL, key)


def _act(connection: Connection, statement: TextClause, key: str) -> bool:
    return connection.execute(statement, {"key": key}).first() is not None
