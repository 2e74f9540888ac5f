"""One connection per process, and transactions that survive a lost one.

There is no ping before use: it would cost a round trip on every request to find what the first statement finds
anyway. `Database.transact` instead runs the whole unit of work again on a new connection, which is safe because
every unit of work here is idempotent by key.
"""

import json
import logging
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as CheckoutTimeout
from sqlalchemy.pool import QueuePool

from orders import aws, driver
from orders.errors import DatabaseUnavailable, ServiceUnavailable
from orders.settings import DatabaseSettings

T = TypeVar("T")

BACKOFF_SECONDS: Final = (0.0, 0.1, 0.4, 1.2)
"""Waits between attempts: none at first, since a socket that died while frozen needs a new one, not time."""
ATTEMPTS: Final = len(BACKOFF_SECONDS) + 1
"""Runs of one unit of work before `DatabaseUnavailable`."""
RETRY_WINDOW_SECONDS: Final = 4.5
"""No new attempt after this long. With the longest statement that the database allows (5 s) the response then still
comes before the API's functions time out (10 s)."""
CONNECT_TIMEOUT_SECONDS: Final = 2
SOCKET_TIMEOUT_SECONDS: Final = 6
"""For each response. Longer than the database's own `statement_timeout`, which should speak first."""
CHECKOUT_TIMEOUT_SECONDS: Final = 2

_RETRYABLE_SQLSTATES: Final = frozenset(
    {
        "25006",  # read_only_sql_transaction: after a failover this connection leads to a reader
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "25P03",  # idle_in_transaction_session_timeout: this process was frozen in mid-transaction
        "53300",  # too_many_connections
        "55P03",  # lock_not_available (lock_timeout)
        "57014",  # query_canceled (statement_timeout)
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
    }
)
# After these the connection is closed, or of no use; SQLAlchemy's dialect does not know.
_CONNECTION_LOST_SQLSTATES: Final = frozenset({"25006", "25P03", "57P01", "57P02", "57P03"})

# What Postgres, or the proxy before it, says of a password or a user that is no longer the right one.
_CREDENTIALS_REFUSED_SQLSTATES: Final = frozenset({"28000", "28P01"})

_logger = logging.getLogger(__name__)


class Credentials(BaseModel):
    """The database secret, as RDS writes it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    username: str
    password: str = Field(repr=False)
    host: str
    port: int
    dbname: str

    def connect(self, timeout: float | None = SOCKET_TIMEOUT_SECONDS) -> driver.Connection:
        """A new connection: over a Unix socket if the host is a directory, else over verified TLS.

        `timeout` is in seconds, for each response; connecting has its own, shorter one. None waits for ever for either,
        as a migration must.
        """
        where: dict[str, Any] = (
            {"unix_sock": f"{self.host}/.s.PGSQL.{self.port}", "ssl_context": False}
            if self.host.startswith("/")
            else {"host": self.host, "port": self.port, "ssl_context": ssl.create_default_context()}
        )
        connection = driver.Connection(
            user=self.username,
            password=self.password,
            database=self.dbname,
            timeout=None if timeout is None else CONNECT_TIMEOUT_SECONDS,
            **where,
        )
        connection.wait_at_most(timeout)
        return connection


class Database:
    """A lazily connected pool of one. A Lambda serves one event at a time, so it never needs a second."""

    def __init__(
        self, credentials: Callable[[], Credentials], renewed: Callable[[], Credentials] | None = None
    ) -> None:
        """`credentials` are asked for at each new connection, `renewed` ones when those are refused."""
        self.engine: Engine = create_engine(
            "postgresql+pg8000://",
            creator=lambda: _connect(credentials, renewed or credentials),
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=0,
            pool_timeout=CHECKOUT_TIMEOUT_SECONDS,
            # Parameters hold contact data, and an error's text ends in a log.
            hide_parameters=True,
        )
        event.listen(self.engine, "handle_error", _recognise_lost_connection)

    @classmethod
    def from_settings(cls, settings: DatabaseSettings) -> "Database":
        """The function's database. The secret is read when the first connection is made, and again when it is old, or
        refused because it was rotated since."""
        return cls(lambda: read_secret(settings), lambda: read_secret(settings, afresh=True))

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in one transaction and commits it; leaving by an exception rolls back.

        `work` must be idempotent by key: it is run again when the connection was lost, *also around COMMIT*, where
        nobody knows whether it was committed.

        Raises:
            DatabaseUnavailable: the attempts are used up.
        """
        return self._attempt(self.engine.begin, work)

    def transact_alone(self, work: Callable[[Connection], T]) -> T:
        """`transact` for work of one statement, which Postgres makes a transaction by itself: one round trip instead
        of three."""
        return self._attempt(self._without_begin, work)

    @contextmanager
    def _without_begin(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            # Not by SQLAlchemy's isolation level: changing that back costs three round trips.
            driver_connection = connection.connection.dbapi_connection
            assert driver_connection is not None, "checked out a moment ago"
            driver_connection.autocommit = True
            try:
                yield connection
            finally:
                driver_connection.autocommit = False

    def _attempt(
        self, begin: Callable[[], AbstractContextManager[Connection]], work: Callable[[Connection], T]
    ) -> T:
        started = time.monotonic()
        for attempt in range(ATTEMPTS):
            try:
                with begin() as connection:
                    return work(connection)
            except (DBAPIError, OSError, CheckoutTimeout) as error:
                if not is_transient(error):
                    raise
                if attempt == ATTEMPTS - 1 or time.monotonic() - started > RETRY_WINDOW_SECONDS:
                    raise DatabaseUnavailable(
                        f"gave up after {attempt + 1} attempts ({sqlstate(error) or type(error).__name__})"
                    ) from error
                _logger.warning("Database attempt %d failed (%s), trying again", attempt + 1, sqlstate(error))
                time.sleep(BACKOFF_SECONDS[attempt])
        raise AssertionError("unreachable")


def sqlstate(error: BaseException) -> str | None:
    """The five-character SQLSTATE, if the error is Postgres's own."""
    original = getattr(error, "orig", error)
    details = original.args[0] if original is not None and original.args else None
    return details.get("C") if isinstance(details, Mapping) else None


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed on another attempt."""
    if isinstance(error, DBAPIError):
        state = sqlstate(error)
        if state is not None:
            return state in _RETRYABLE_SQLSTATES or state.startswith("08")
        # Without a SQLSTATE the driver, not Postgres, is speaking: of a connection that is gone or cannot be made. If
        # it is of neither, it does not understand a statement of ours.
        return error.connection_invalidated or error.statement is None
    return isinstance(error, OSError | CheckoutTimeout)


def _connect(credentials: Callable[[], Credentials], renewed: Callable[[], Credentials]) -> driver.Connection:
    try:
        return credentials().connect()
    except driver.DatabaseError as error:
        if sqlstate(error) not in _CREDENTIALS_REFUSED_SQLSTATES:
            raise
        return renewed().connect()


def _recognise_lost_connection(context: ExceptionContext) -> None:
    if sqlstate(context.original_exception) in _CONNECTION_LOST_SQLSTATES:
        context.is_disconnect = True


def read_secret(settings: DatabaseSettings, *, afresh: bool = False) -> Credentials:
    """The database's credentials; see `aws.read_secret`.

    Raises:
        DatabaseUnavailable: Secrets Manager did not give them.
    """
    try:
        secret = json.loads(aws.read_secret(settings.database_secret_id, afresh=afresh))
    except ServiceUnavailable as error:
        raise DatabaseUnavailable("the database's credentials cannot be read") from error
    if settings.database_host:
        secret["host"] = settings.database_host
    return Credentials.model_validate(secret)
