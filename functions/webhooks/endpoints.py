"""A customer's webhooks. Every statement names the user: another user's webhook is as unknown as none at all."""

import time
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, TextClause, text

from functions.webhooks.models import (
    ChangeWebhook,
    RegisteredWebhook,
    RegisterWebhook,
    RotatedSecret,
    RotateSecret,
    Webhook,
)
from functions.webhooks.repeatable import Effect, Outcome, once
from orders.db import Database
from orders.errors import (
    FieldError,
    InvalidWebhook,
    TooManySecrets,
    WebhookLimitReached,
    WebhookNotFound,
)
from orders.idempotency import IdempotentRequest
from orders.ids import parse_uuid, uuid7
from orders.webhooks.destination import Destination, ForbiddenDestination, addresses_of, parse
from orders.webhooks.keys import SigningKeys
from orders.webhooks.resolver import HostNotFound, Resolver
from orders.webhooks.states import MAX_WEBHOOKS

OVERLAP_SECONDS: Final = 24 * 3600
"""How long a secret is signed with after it was replaced."""
MAX_SECRETS: Final = 10
"""Of one webhook that are signed with at once; each makes the header longer, and servers take only so much."""
RESOLVE_SECONDS: Final = 2.0
"""For the look-up of a host. It is also how long it takes to refuse one, whatever was found: the time would tell as
much of our network as the words."""

_FIRST_VERSION: Final = 1
_COLUMNS: Final = "id, url, description, event_types, status, disabled_reason, disabled_at, created_at"

# Of those who race for a slot one gets it, and the others wait for its commit and find the next one. The first part
# is for a request that is run again after its connection was lost around COMMIT.
_TAKE_SLOT: Final = text("""
    WITH taken AS (
        INSERT INTO webhook_endpoints (id, user_id, slot, url, description, event_types)
        SELECT :id, :user_id, free.slot, :url, :description, CAST(:event_types AS text[])
        FROM generate_series(1, :limit) AS free (slot)
        WHERE NOT EXISTS (
            SELECT FROM webhook_endpoints AS other WHERE other.user_id = :user_id AND other.slot = free.slot
        )
        ORDER BY free.slot
        LIMIT 1
        ON CONFLICT DO NOTHING
        RETURNING id
    )
    SELECT id FROM taken
    UNION ALL SELECT id FROM webhook_endpoints WHERE id = :id
""")

_LIST: Final = text(f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE user_id = :user_id ORDER BY id")
_READ: Final = text(f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE id = :id AND user_id = :user_id")
_REMOVE: Final = text("DELETE FROM webhook_endpoints WHERE id = :id AND user_id = :user_id RETURNING id")

# An endpoint has its newest secret, the one before it until `previous_secret_until`, and those in the table. The row is
# locked before it is read, so that no two requests make the same version.
_ROTATE: Final = text(f"""
    WITH found AS (
        SELECT endpoint.id, endpoint.secret_version, endpoint.previous_secret_until,
               CAST(:revoke AS boolean) OR {MAX_SECRETS} >= 3 + (
                   SELECT count(*) FROM webhook_older_secrets AS older
                   WHERE older.endpoint_id = endpoint.id AND older.expires_at > now()
               ) AS has_room
        FROM webhook_endpoints AS endpoint
        WHERE endpoint.id = :id AND endpoint.user_id = :user_id
        FOR UPDATE OF endpoint
    ), removed AS (
        DELETE FROM webhook_older_secrets AS older USING found
        WHERE older.endpoint_id = found.id AND (CAST(:revoke AS boolean) OR older.expires_at <= now())
    ), kept AS (
        INSERT INTO webhook_older_secrets (endpoint_id, version, expires_at)
        SELECT id, secret_version - 1, previous_secret_until FROM found
        WHERE has_room AND previous_secret_until > now() AND NOT CAST(:revoke AS boolean)
    ), rotated AS (
        UPDATE webhook_endpoints AS endpoint
        SET secret_version = found.secret_version + 1,
            previous_secret_until = CASE WHEN NOT CAST(:revoke AS boolean)
                                         THEN now() + make_interval(secs => :overlap_seconds) END
        FROM found WHERE endpoint.id = found.id AND found.has_room
        RETURNING endpoint.secret_version
    )
    SELECT found.id, rotated.secret_version FROM found LEFT JOIN rotated ON true
""")
_PREVIOUS: Final = text("""
    SELECT id, CASE WHEN secret_version = :version THEN previous_secret_until END AS previous_secret_until
    FROM webhook_endpoints WHERE id = :id AND user_id = :user_id
""")

_CHANGE: Final = text(f"""
    UPDATE webhook_endpoints
    SET url = coalesce(CAST(:url AS text), url),
        is_slow = is_slow AND url = coalesce(CAST(:url AS text), url),
        description = CASE WHEN :describes THEN CAST(:description AS text) ELSE description END,
        event_types = CASE WHEN :selects THEN CAST(:event_types AS text[]) ELSE event_types END
    WHERE id = :id AND user_id = :user_id
    RETURNING {_COLUMNS}
""")

_ENABLE: Final = text("""
    UPDATE webhook_endpoints SET status = 'ENABLED', disabled_reason = NULL, disabled_at = NULL
    WHERE id = :id AND user_id = :user_id
    RETURNING id
""")


@dataclass(frozen=True)
class Registrar:
    """What registering works with."""

    keys: SigningKeys
    resolver: Resolver
    allow_loopback: bool

    def register(
        self,
        database: Database,
        user_id: str,
        asked: RegisterWebhook,
        request: IdempotentRequest | None = None,
    ) -> Outcome[RegisteredWebhook]:
        """Registers an endpoint, enabled, and makes its secret; once, if the request has a key.

        Raises:
            InvalidWebhook: no webhook may go to this URL.
            WebhookLimitReached: the user has `MAX_WEBHOOKS` already.
            WebhookNotFound: an earlier request made it, and it was deleted since.
            IdempotencyKeyReused: the key belongs to another request.
            ServiceUnavailable, DatabaseUnavailable: try again.
        """
        destination = self._parsed(asked.url)
        is_public = self._leads_to_the_internet(destination)
        endpoint_id = uuid7()
        # Before anything is made that nobody could verify.
        self.keys.secret(endpoint_id, _FIRST_VERSION)
        parameters = {
            "id": endpoint_id,
            "user_id": user_id,
            "limit": MAX_WEBHOOKS,
            "url": destination.url,
            "description": asked.description,
            "event_types": asked.event_types,
        }

        def take_effect(connection: Connection) -> Effect:
            if not is_public:
                raise _not_public()
            # Each round that finds nothing has lost a slot to another request.
            rounds = (connection.execute(_TAKE_SLOT, parameters).first() for _ in range(MAX_WEBHOOKS + 1))
            taken = next((row for row in rounds if row is not None), None)
            if taken is None:
                raise WebhookLimitReached(
                    f"A user may have {MAX_WEBHOOKS} webhooks; delete one of yours first"
                )
            return Effect(taken.id, _FIRST_VERSION)

        def show(connection: Connection, effect: Effect) -> Row[Any]:
            return _made(connection, _READ, effect, user_id)

        made = once(database, request, take_effect, show)
        secret = self.keys.secret(made.content.id, _FIRST_VERSION)
        registered = RegisteredWebhook.of(made.content._mapping, webhook_id=made.content.id, secret=secret)
        return Outcome(registered, made.replayed)

    def change(self, database: Database, user_id: str, webhook_id: str, change: ChangeWebhook) -> Webhook:
        """Changes what was asked to be changed. The secret stays. Deliveries that are under way go to the new URL with
        their next attempt.

        Raises:
            WebhookNotFound: as for `read`.
            InvalidWebhook: no webhook may go to the new URL.
        """
        # A URL is looked up for those who have such a webhook only.
        read(database, user_id, webhook_id)
        given = change.model_fields_set
        destination = self._parsed(change.url) if "url" in given else None
        if destination is not None and not self._leads_to_the_internet(destination):
            raise _not_public()
        row = _one(
            database,
            _CHANGE,
            user_id,
            webhook_id,
            url=destination and destination.url,
            describes="description" in given,
            description=change.description,
            selects="event_types" in given,
            event_types=change.event_types,
        )
        return _webhook(row)

    def _parsed(self, url: str) -> Destination:
        try:
            return parse(url, allow_loopback=self.allow_loopback)
        except ForbiddenDestination as error:
            raise _refuse(str(error)) from None

    def _leads_to_the_internet(self, destination: Destination) -> bool:
        begun = time.monotonic()
        try:
            addresses_of(
                destination,
                self.resolver,
                allow_loopback=self.allow_loopback,
                timeout_seconds=RESOLVE_SECONDS,
            )
        except HostNotFound:
            time.sleep(max(0.0, begun + RESOLVE_SECONDS - time.monotonic()))
            return False
        return True


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


def rotate_secret(
    database: Database,
    keys: SigningKeys,
    user_id: str,
    webhook_id: str,
    asked: RotateSecret,
    request: IdempotentRequest | None = None,
) -> Outcome[RotatedSecret]:
    """Replaces the secret; once, if the request has a key. Deliveries are signed with the one before it as well for
    `OVERLAP_SECONDS`, and with older ones for what is left of theirs, unless the request revokes them all.

    Raises:
        WebhookNotFound: as for `read`.
        TooManySecrets: `MAX_SECRETS` are signed with already.
        IdempotencyKeyReused: the key belongs to another request.
        ServiceUnavailable, DatabaseUnavailable: try again.
    """
    endpoint_id = _id(webhook_id)
    rotation = {
        "id": endpoint_id,
        "user_id": user_id,
        "revoke": asked.revoke_previous,
        "overlap_seconds": OVERLAP_SECONDS,
    }

    def take_effect(connection: Connection) -> Effect:
        row = connection.execute(_ROTATE, rotation).first()
        if row is None:
            raise _unknown()
        if row.secret_version is None:
            raise TooManySecrets(
                f"{MAX_SECRETS} secrets of this webhook are in use: wait until the oldest has had its day, "
                "or revoke them with `revokePrevious`"
            )
        return Effect(row.id, row.secret_version)

    def show(connection: Connection, effect: Effect) -> tuple[Row[Any], int | None]:
        version = effect.secret_version
        return _made(connection, _PREVIOUS, effect, user_id, version=version), version

    rotated = once(database, request, take_effect, show)
    row, version = rotated.content
    assert version is not None, "a rotation makes a version"
    secret = RotatedSecret(
        webhook_id=row.id,
        secret=keys.secret(row.id, version),
        previous_secret_expires_at=row.previous_secret_until,
    )
    return Outcome(secret, rotated.replayed)


def enable(
    database: Database, user_id: str, webhook_id: str, request: IdempotentRequest | None = None
) -> Outcome[Webhook]:
    """Lets events be sent again, from the next one on; once, if the request has a key.

    Raises:
        WebhookNotFound: as for `read`.
        IdempotencyKeyReused: the key belongs to another request.
    """
    asked = {"id": _id(webhook_id), "user_id": user_id}

    def take_effect(connection: Connection) -> Effect:
        row = connection.execute(_ENABLE, asked).first()
        if row is None:
            raise _unknown()
        return Effect(row.id)

    def show(connection: Connection, effect: Effect) -> Webhook:
        return _webhook(_made(connection, _READ, effect, user_id))

    return once(database, request, take_effect, show)


def _refuse(detail: str) -> InvalidWebhook:
    return InvalidWebhook("Refused: #/url", (FieldError("#/url", detail),))


def _not_public() -> InvalidWebhook:
    """The same for a name that does not exist and for one that leads elsewhere."""
    return _refuse("This must be the URL of a host that has an address, on the public internet only")


def _unknown() -> WebhookNotFound:
    return WebhookNotFound("You have no such webhook")


def _id(webhook_id: str) -> UUID:
    """Raises WebhookNotFound where no webhook can have such an id."""
    uuid = parse_uuid(webhook_id)
    if uuid is None:
        raise _unknown()
    return uuid


def _made(
    connection: Connection, statement: TextClause, effect: Effect, user_id: str, **parameters: object
) -> Row[Any]:
    """The endpoint that a request is answered with, which may be an earlier request's."""
    row = connection.execute(statement, {"id": effect.endpoint_id, "user_id": user_id, **parameters}).first()
    if row is None:
        raise WebhookNotFound("The webhook of this request was deleted")
    return row


def _one(
    database: Database, statement: TextClause, user_id: str, webhook_id: str, **parameters: object
) -> Row[Any]:
    asked = {"id": _id(webhook_id), "user_id": user_id, **parameters}

    def work(connection: Connection) -> Row[Any] | None:
        return connection.execute(statement, asked).first()

    row = database.transact_alone(work)
    if row is None:
        raise _unknown()
    return row


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook.of(row._mapping, webhook_id=row.id)
