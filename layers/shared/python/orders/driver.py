"""pg8000 as we need it: one round trip per statement, no half-read responses, and errors that carry no data.

The driver waits for Postgres three times for every statement with parameters, after Parse, Describe and Execute, and
again for COMMIT. The protocol asks for one wait, at Sync (PostgreSQL's documentation, "Extended Query"), and libpq
does it so. A test counts the round trips at the socket: an update of the driver cannot undo this unnoticed.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import pg8000.dbapi
from pg8000.converters import make_params
from pg8000.core import DESCRIBE, NULL_BYTE, PORTAL, SYNC_MSG, Context

DatabaseError: Final = pg8000.dbapi.DatabaseError

_HARMLESS_FIELDS: Final = frozenset("SVCMPstcn")
"""Severity, SQLSTATE, message, position, and the names of what is concerned. What is left out, DETAIL first of all,
quotes rows and parameters; an error's text ends in a log, and rows hold contact data."""

# Classes of SQLSTATEs.
_DATA_EXCEPTION: Final = "22"
_INTEGRITY_VIOLATION: Final = "23"


class Cursor(pg8000.dbapi.Cursor):  # type: ignore[misc]  # the driver brings no types
    """The driver's cursor without its scan of the statement on every call."""

    def execute(self, operation: str, args: Sequence[Any] = ()) -> None:
        connection = self._c
        if not connection._in_transaction and not connection.autocommit:
            connection.execute_simple("begin transaction")
        self._context = connection.execute_unnamed(_numbered(operation) if args else operation, args)
        self._row_iter = None if self._context.rows is None else iter(self._context.rows)


class Connection(pg8000.dbapi.Connection):  # type: ignore[misc]  # the driver brings no types
    """The driver's connection, saying all it has to say before it listens."""

    def __init__(self, **parameters: Any) -> None:
        try:
            super().__init__(**parameters)
        except BaseException:
            # The driver hangs up when the server refuses, but not when the server is gone before it was greeted; and
            # a connection is part of a cycle, so its socket would stay open until the next garbage collection.
            if getattr(self, "_usock", None) is not None:
                self.close()
            raise

    def wait_at_most(self, seconds: float | None) -> None:
        """The longest wait for a response from here on; None is for ever."""
        self._usock.settimeout(seconds)

    def cursor(self) -> Cursor:
        return Cursor(self)

    def execute_unnamed(self, statement: str, vals: Sequence[Any] = ()) -> Context:
        if not vals:
            return self.execute_simple(statement)
        context = Context(statement)
        self.send_PARSE(NULL_BYTE, statement)
        self.send_BIND(NULL_BYTE, make_params(self.py_types, vals))
        self._send_message(DESCRIBE, PORTAL + NULL_BYTE)
        self.send_EXECUTE()
        pg8000.core._write(self._sock, SYNC_MSG)
        pg8000.core._flush(self._sock)
        self.handle_messages(context)
        return context

    def close(self) -> None:
        # Saying goodbye is a courtesy. When a connection fails at its start, the driver would report that the server
        # did not wait for it, and not why the connection failed.
        with suppress(pg8000.dbapi.InterfaceError):
            super().close()

    def handle_messages(self, context: Context) -> None:
        """Reads the response.

        Raises:
            InterfaceError: the connection is of no further use; a response read late would be taken for the next one.
        """
        try:
            super().handle_messages(context)
        except OSError as error:
            # The driver lets some through as they are, and SQLAlchemy would go on with the connection.
            raise pg8000.dbapi.InterfaceError("network error") from error

    def handle_ERROR_RESPONSE(self, data: bytes, context: Context) -> None:  # noqa: N802 (the driver's name)
        super().handle_ERROR_RESPONSE(data, context)
        (said,) = context.error.args
        fields = {name: value for name, value in said.items() if name in _HARMLESS_FIELDS}
        if fields["C"].startswith(_DATA_EXCEPTION):
            fields["M"] = "a value does not fit"  # Postgres quotes it
        integrity = fields["C"].startswith(_INTEGRITY_VIOLATION)
        context.error = (pg8000.dbapi.IntegrityError if integrity else pg8000.dbapi.DatabaseError)(fields)


@lru_cache(maxsize=256)
def _numbered(operation: str) -> str:
    """`%s` as `$1`, `$2`, …, which the driver finds by looking at each character."""
    statement, _ = pg8000.dbapi.convert_paramstyle("format", operation, ())
    return str(statement)
