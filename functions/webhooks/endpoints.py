"""A customer's webhooks. Every statement names the user: another user's webhook is as unknown as none at all."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, TextClause, text

from functions.webhooks.models import RegisteredWebhook, RegisterWebhook, RotatedSecret, Webhook
from orders.db import Database
from orders.errors import FieldError, InvalidWebhook, WebhookLimitReached, WebhookNotFound
from orders.ids import parse_uuid, uuid7
from orders.webhooks.destination import Destination, ForbiddenDestination, addresses_of, parse
from orders.webhooks.keys import SigningKeys
from orders.webhooks.resolver import HostNotFound, Resolver
from orders.webhooks.states import MAX_WEBHOOKS

OVERLAP_SECONDS: Final = 24 * 3600
"""How long a secret is signed with after it was replaced."""
RESOLVE_SECONDS: Final = 3.0

_FIRST_VERSION: Final = 1
_COLUMNS: Final = "id, url, description, status, disabled_reason, disabled_at, created_at"

# Of those who race for a slot one gets it, and the others wait for its commit and find the next one. The first part
# is for a request that is run again after its connection was lost around COMMIT.
_TAKE_SLOT: Final = text(f"""
    WITH taken AS (
        INSERT INTO webhook_endpoints (id, user_id, slot, url, description)
        SELECT :id, :user_id, free.slot, :url, :description
        FROM generate_series(1, :limit) AS free (slot)
        WHERE NOT EXISTS (
            SELECT FROM webhook_endpoints AS other WHERE other.user_id = :user_id AND other.slot = free.slot
        )
        ORDER BY free.slot
        LIMIT 1
        ON CONFLICT DO NOTHING
        RETURNING {_COLUMNS}
    )
    SELECT {_COLUMNS} FROM taken
    UNION ALL SELECT {_COLUMNS} FROM webhook_endpoints WHERE id = :id
""")

_LIST: Final = text(f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE user_id = :user_id ORDER BY id")
_READ: Final = text(f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE id = :id AND user_id = :user_id")
_REMOVE: Final = text("DELETE FROM webhook_endpoints WHERE id = :id AND user_id = :user_id RETURNING id")

# Run again after a connection lost around COMMIT it rotates twice. The secret in between was shown to nobody, and the
# one before it is then not signed with any more, as after two requests.
_ROTATE: Final = text("""
    UPDATE webhook_endpoints
    SET secret_version = secret_version + 1,
        previous_secret_until = now() + make_interval(secs => :overlap_seconds)
    WHERE id = :id AND user_id = :user_id
    RETURNING id, secret_version, previous_secret_until
""")

_ENABLE: Final = text(f"""
    UPDATE webhook_endpoints SET status = 'ENABLED', disabled_reason = NULL, disabled_at = NULL
    WHERE id = :id AND user_id = :user_id
    RETURNING {_COLUMNS}
""")


@dataclass(frozen=True)
class Registrar:
    """What registering works with."""

    keys: SigningKeys
    resolver: Resolver
    allow_loopback: bool

    def register(self, database: Database, user_id: str, asked: RegisterWebhook) -> RegisteredWebhook:
        """Registers an endpoint, enabled, and makes its secret.

        Raises:
            InvalidWebhook: no webhook may go to this URL.
            WebhookLimitReached: the user has `MAX_WEBHOOKS` already.
            ServiceUnavailable, DatabaseUnavailable: try again.
        """
        destination = self._checked(asked.url)
        endpoint_id = uuid7()
        secret = self.keys.secret(endpoint_id, _FIRST_VERSION)
        parameters = {
            "id": endpoint_id,
            "user_id": user_id,
            "limit": MAX_WEBHOOKS,
            "url": destination.url,
            "description": asked.description,
        }

        def work(connection: Connection) -> Row[Any] | None:
            # Each round that finds nothing has lost a slot to another request.
            rounds = (connection.execute(_TAKE_SLOT, parameters).first() for _ in range(MAX_WEBHOOKS + 1))
            return next((row for row in rounds if row is not None), None)

        row = database.transact(work)
        if row is None:
            raise WebhookLimitReached(f"A user may have {MAX_WEBHOOKS} webhooks; delete one of yours first")
        return RegisteredWebhook.of(row._mapping, webhook_id=row.id, secret=secret)

    def _checked(self, url: str) -> Destination:
        try:
            destination = parse(url, allow_loopback=self.allow_loopback)
            addresses_of(
                destination,
                self.resolver,
                allow_loopback=self.allow_loopback,
                timeout_seconds=RESOLVE_SECONDS,
            )
        except ForbiddenDestination as error:
            raise _refuse(str(error)) from None
        except HostNotFound:
            raise _refuse("This must be the URL of a host that has an address") from None
        return destination


def list_all(database: Database, user_id: str) -> list[Webhook]:
    """The user's webhooks, oldest first; there are never more than `MAX_WEBHOOKS`."""
    rows = database.transact_alone(lambda connection: connection.execute(_LIST, {"user_id": user_id}).all())
    return [_webhook(row) for row in rows]


def read(database: Database, user_id: str, webhook_id: str) -> Webhook:
    """One of the user's webhooks.

    Raises:
        WebhookNotFound: there is none, it is somebody else's, or no webhook can have such an id.
    """
    return _webhook(_one(database, _READ, user_id, webhook_id))


def remove(database: Database, user_id: str, webhook_id: str) -> None:
    """Removes one of the user's webhooks with the record of its deliveries; nothing more is sent to it.

    Raises:
        WebhookNotFound: as for `read`.
    """
    _one(database, _REMOVE, user_id, webhook_id)


def rotate_secret(database: Database, keys: SigningKeys, user_id: str, webhook_id: str) -> RotatedSecret:
    """Replaces the secret. For `OVERLAP_SECONDS` deliveries are signed with the one before it as well, and with no
    older one: to be rid of a secret at once, replace it twice.

    Raises:
        WebhookNotFound: as for `read`.
        ServiceUnavailable, DatabaseUnavailable: try again.
    """
    row = _one(database, _ROTATE, user_id, webhook_id, overlap_seconds=OVERLAP_SECONDS)
    return RotatedSecret(
        webhook_id=row.id,
        secret=keys.secret(row.id, row.secret_version),
        previous_secret_expires_at=row.previous_secret_until,
    )


def enable(database: Database, user_id: str, webhook_id: str) -> Webhook:
    """Lets events be sent again, from the next one on.

    Raises:
        WebhookNotFound: as for `read`.
    """
    return _webhook(_one(database, _ENABLE, user_id, webhook_id))


def _refuse(detail: str) -> InvalidWebhook:
    return InvalidWebhook("Refused: #/url", (FieldError("#/url", detail),))


def _one(
    database: Database, statement: TextClause, user_id: str, webhook_id: str, **parameters: object
) -> Row[Any]:
    uuid = parse_uuid(webhook_id)
    asked = {"id": uuid, "user_id": user_id, **parameters}

    def work(connection: Connection) -> Row[Any] | None:
        return connection.execute(statement, asked).first()

    row = database.transact_alone(work) if uuid else None
    if row is None:
        raise WebhookNotFound("You have no such webhook")
    return row


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook.of(row._mapping, webhook_id=row.id)
