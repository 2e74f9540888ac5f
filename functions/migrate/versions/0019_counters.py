"""What is counted for operators: each thing once, in the transaction in which it happens.

A counted thing is a row of `counted`, which nobody waits for: a counter that all transactions update would be a lock
that all of them wait for. Maintenance and scrapes add these rows to `counters` and remove them.

The code before it runs on: triggers count what it does as well.
"""

from alembic import op

revision = "0019"
down_revision = "0018"

# Whatever waits for a table lock makes everybody behind it wait as well: rather fail the deploy, and repeat it.
_LOCK_TIMEOUT = "2s"

# Each may be repeated, and takes one table's lock for a moment.
_STATEMENTS = (
    # Rows come and go all the time, hence an eager vacuum.
    """
    CREATE TABLE IF NOT EXISTS counted (
        counter text NOT NULL,
        label text NOT NULL,
        seconds float8
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
    """,
    """
    CREATE TABLE IF NOT EXISTS counters (
        counter text,
        label text,
        bucket float8,
        events bigint NOT NULL,
        seconds float8 NOT NULL,
        PRIMARY KEY (counter, label, bucket)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE IF NOT EXISTS counter_sources (
        name text PRIMARY KEY,
        counted_until timestamptz NOT NULL
    )
    """,
    """
    INSERT INTO counter_sources VALUES ('http_requests', date_bin('5 minutes', now(), '2000-01-01'))
    ON CONFLICT DO NOTHING
    """,
    """
    CREATE OR REPLACE FUNCTION count_order_end() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO counted VALUES ('orders_processed', NEW.status, extract(epoch FROM now() - NEW.created_at));
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER orders_count_end AFTER UPDATE OF status ON orders
    FOR EACH ROW WHEN (OLD.status <> NEW.status AND NEW.status IN ('CONFIRMED', 'CANCELLED', 'NEEDS_REVIEW'))
    EXECUTE FUNCTION count_order_end()
    """,
    """
    CREATE OR REPLACE FUNCTION count_job() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO counted VALUES ('queue_jobs_completed', NEW.consumer, NULL);
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER inbox_count_job AFTER INSERT ON inbox
    FOR EACH ROW EXECUTE FUNCTION count_job()
    """,
    """
    CREATE OR REPLACE FUNCTION count_compensation() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO counted VALUES ('saga_compensations', NEW.step, NULL);
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER saga_steps_count_compensation AFTER INSERT ON saga_steps
    FOR EACH ROW WHEN (NEW.step IN (
        'RestoreInventory', 'RefundPayment', 'ReleaseReservation', 'SendCancellation', 'MarkCancelled'
    ))
    EXECUTE FUNCTION count_compensation()
    """,
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # Alembic asks for the isolation level first, and with this driver asking begins a transaction.
        op.execute("COMMIT")
        op.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        for statement in _STATEMENTS:
            op.execute(statement)
        op.execute("RESET lock_timeout")
