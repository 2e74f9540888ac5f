"""The switch that takes the whole simulator down, for demonstrations and tests: while an outage lasts, every call is
refused, whatever its payment method."""

from typing import Final

from sqlalchemy import Connection, text

IS_DOWN: Final = "EXISTS (SELECT FROM gateway.outages WHERE ends_at > now())"
"""SQL: whether an outage lasts."""

_BEGIN: Final = text("INSERT INTO gateway.outages (ends_at) VALUES (now() + make_interval(secs => :seconds))")
_END: Final = text("UPDATE gateway.outages SET ends_at = now() WHERE ends_at > now()")


def begin(connection: Connection, seconds: float) -> None:
    """Begins an outage that ends by itself after so many seconds. It is seen when the transaction is committed."""
    connection.execute(_BEGIN, {"seconds": seconds})


def end(connection: Connection) -> None:
    """Ends every outage; there may be none."""
    connection.execute(_END)
