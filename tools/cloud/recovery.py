"""What an emulator forgets when it ends, and AWS would not: executions with their names, and messages in queues."""

import shutil
from pathlib import Path
from typing import Final

from orders.domain import TERMINAL_STATUSES
from tools.cloud import postgres
from tools.cloud.settings import Settings

# An order's next execution has the name that `start_saga` uses, too, so one of the two starts it (promise I6). An
# order under review keeps its number: it is neither started by its event nor by maintenance.
RENUMBER: Final = """
    UPDATE saga_recoveries SET resumes = 0
    FROM orders
    WHERE orders.id = saga_recoveries.order_id AND orders.status IN ('PENDING', 'PROCESSING') AND resumes > 0
"""

# Every step is idempotent and every consumer remembers what it did, so sending again is safe. An order that has got a
# further execution since is left to maintenance: this emulator may never have had the execution that the event starts.
_REPUBLISH: Final = """
    UPDATE outbox
    SET status = 'PENDING', available_at = now(), claim_token = NULL, published_at = NULL
    FROM orders
    WHERE outbox.status = 'PUBLISHED' AND orders.id = outbox.subject AND (
        (outbox.type = :order_created AND orders.status <> ALL (CAST(:terminal AS text[]))
            AND NOT EXISTS (SELECT FROM saga_recoveries WHERE order_id = orders.id AND resumes > 0))
        OR (outbox.type = :notification_requested
            AND NOT EXISTS (SELECT FROM inbox WHERE inbox.event_id = outbox.id))
    )
"""


def forget_executions(settings: Settings) -> None:
    """Numbers the executions of unfinished orders from the first one again, while no emulator runs.

    Later would be too late: a round of maintenance in the new emulator could already have started an execution under
    the old number, and the order's event another one under the first name.
    """
    with postgres.connect(settings) as connection:
        ((table,),) = connection.run("SELECT to_regclass('saga_recoveries')")
        # A new database has no tables before the first deploy.
        if table is not None:
            connection.run(RENUMBER)


def forget_identities_of_another_database(settings: Settings, database: str) -> None:
    """Ids, users, passwords and secrets are kept as long as the database (`postgres.identity`) that names them."""
    if is_another_database(settings, database):
        shutil.rmtree(settings.emulator_state)
    settings.emulator_state.mkdir(mode=0o700, parents=True, exist_ok=True)
    _owner(settings).write_text(database)


def is_another_database(settings: Settings, database: str) -> bool:
    """Whether what is kept belongs to another database than this one."""
    return _owner(settings).exists() and _owner(settings).read_text() != database


def _owner(settings: Settings) -> Path:
    return settings.emulator_state / "database"


def republish(settings: Settings) -> int:
    """Hands the events whose work was lost with an earlier emulator to the relay again; returns how many."""
    # Only a start needs it: it makes the models of all events.
    from orders.events import NotificationRequested, OrderCreated

    with postgres.connect(settings) as connection:
        connection.run(
            _REPUBLISH,
            order_created=OrderCreated.type,
            notification_requested=NotificationRequested.type,
            terminal=sorted(TERMINAL_STATUSES),
        )
        return int(connection.row_count)
