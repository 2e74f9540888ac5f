"""The order pipeline: catalogue and stock, orders, outbox and inbox, saga, payments, notifications."""

from alembic import op

revision = "0001"
down_revision = None

# Policies of the database itself rather than of a connection: they also reach it through a proxy that drops start-up
# parameters. An idle transaction is that of a frozen or killed Lambda: its locks must go.
_POLICIES = (
    ("statement_timeout", "5s"),
    ("lock_timeout", "4s"),
    ("idle_in_transaction_session_timeout", "10s"),
)

_TABLES = (
    """
    CREATE TABLE products (
        id uuid PRIMARY KEY,
        name text NOT NULL,
        unit_price bigint NOT NULL CONSTRAINT products_price_positive_check CHECK (unit_price > 0),
        currency text NOT NULL,
        active boolean NOT NULL DEFAULT true,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE stock (
        product_id uuid PRIMARY KEY REFERENCES products (id),
        stocked bigint NOT NULL,
        available bigint NOT NULL,
        reserved bigint NOT NULL DEFAULT 0,
        sold bigint NOT NULL DEFAULT 0,
        CONSTRAINT stock_never_negative_check CHECK (available >= 0 AND reserved >= 0 AND sold >= 0),
        CONSTRAINT stock_adds_up_check CHECK (available + reserved + sold = stocked)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE orders (
        id uuid PRIMARY KEY,
        user_id text NOT NULL,
        status text NOT NULL DEFAULT 'PENDING' CONSTRAINT orders_status_known_check
            CHECK (status IN ('PENDING', 'PROCESSING', 'CONFIRMED', 'CANCELLED', 'NEEDS_REVIEW')),
        currency text NOT NULL,
        total_amount bigint NOT NULL CONSTRAINT orders_total_positive_check CHECK (total_amount > 0),
        payment_method text NOT NULL,
        contact_email text NOT NULL,
        contact_phone text,
        locale text NOT NULL,
        failure_reason text,
        correlation_id text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
    ) WITH (fillfactor = 80)
    """,
    "CREATE INDEX orders_by_user ON orders (user_id, id DESC)",
    """
    CREATE TABLE order_items (
        order_id uuid REFERENCES orders (id),
        line_no smallint,
        product_id uuid NOT NULL REFERENCES products (id),
        quantity integer NOT NULL CONSTRAINT order_items_quantity_bounded_check CHECK (quantity BETWEEN 1 AND 100),
        unit_price bigint NOT NULL,
        PRIMARY KEY (order_id, line_no),
        UNIQUE (order_id, product_id)
    )
    """,
    """
    CREATE TABLE idempotency_keys (
        user_id text,
        key text,
        fingerprint text NOT NULL,
        order_id uuid NOT NULL REFERENCES orders (id),
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (user_id, key)
    )
    """,
    # Published rows leave dead entries in the index of pending ones until a vacuum, hence an eager one.
    """
    CREATE TABLE outbox (
        id uuid PRIMARY KEY,
        type text NOT NULL,
        subject uuid NOT NULL,
        data jsonb NOT NULL,
        correlation_id text NOT NULL,
        traceparent text NOT NULL,
        status text NOT NULL DEFAULT 'PENDING' CONSTRAINT outbox_status_known_check
            CHECK (status IN ('PENDING', 'PUBLISHED', 'DEAD')),
        attempts integer NOT NULL DEFAULT 0,
        refusals integer NOT NULL DEFAULT 0,
        available_at timestamptz NOT NULL DEFAULT now(),
        claim_token uuid,
        last_error text,
        created_at timestamptz NOT NULL DEFAULT now(),
        published_at timestamptz
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
    """,
    "CREATE INDEX outbox_pending ON outbox (available_at, id) WHERE status = 'PENDING'",
    """
    CREATE TABLE inbox (
        consumer text,
        event_id uuid,
        processed_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (consumer, event_id)
    )
    """,
    """
    CREATE TABLE saga_steps (
        order_id uuid REFERENCES orders (id),
        step text,
        status text NOT NULL CONSTRAINT saga_steps_status_known_check
            CHECK (status IN ('SUCCEEDED', 'FAILED', 'COMPENSATED', 'FENCED')),
        attempts integer NOT NULL DEFAULT 1,
        error text,
        at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (order_id, step)
    )
    """,
    """
    CREATE TABLE reservations (
        order_id uuid REFERENCES orders (id),
        product_id uuid REFERENCES products (id),
        quantity integer NOT NULL CONSTRAINT reservations_quantity_positive_check CHECK (quantity > 0),
        status text NOT NULL CONSTRAINT reservations_status_known_check
            CHECK (status IN ('ACTIVE', 'CONFIRMED', 'RELEASED', 'RESTORED', 'EXPIRED')),
        expires_at timestamptz NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (order_id, product_id)
    )
    """,
    "CREATE INDEX reservations_active ON reservations (expires_at) WHERE status = 'ACTIVE'",
    """
    CREATE TABLE stock_movements (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        product_id uuid NOT NULL REFERENCES products (id),
        order_id uuid,
        kind text NOT NULL,
        quantity bigint NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (order_id, product_id, kind)
    )
    """,
    """
    CREATE TABLE payments (
        order_id uuid PRIMARY KEY REFERENCES orders (id),
        provider_key text NOT NULL UNIQUE,
        status text NOT NULL CONSTRAINT payments_status_known_check
            CHECK (status IN ('PENDING', 'UNKNOWN', 'CAPTURED', 'DECLINED', 'VOIDED', 'REFUNDED')),
        attempts integer NOT NULL DEFAULT 1,
        amount bigint NOT NULL,
        currency text NOT NULL,
        provider_payment_id text,
        captured bigint NOT NULL DEFAULT 0,
        refunded bigint NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT payments_refund_within_capture_check
            CHECK (0 <= refunded AND refunded <= captured AND captured <= amount)
    )
    """,
    """
    CREATE TABLE notifications (
        id uuid PRIMARY KEY,
        order_id uuid NOT NULL REFERENCES orders (id),
        type text NOT NULL,
        channel text NOT NULL,
        status text NOT NULL CONSTRAINT notifications_status_known_check
            CHECK (status IN ('SENDING', 'SENT', 'FAILED', 'UNCERTAIN')),
        attempts integer NOT NULL DEFAULT 1,
        provider_id text,
        error text,
        lease_until timestamptz NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        sent_at timestamptz,
        UNIQUE (order_id, type, channel)
    )
    """,
)

# Promise I7. The table in orders.domain says the same, and a test compares them.
_LEGAL_TRANSITIONS = (
    """
    CREATE FUNCTION orders_check_transition() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (OLD.status = 'PENDING' AND NEW.status = 'PROCESSING')
            OR (OLD.status = 'PROCESSING' AND NEW.status IN ('CONFIRMED', 'CANCELLED', 'NEEDS_REVIEW'))
            OR (OLD.status = 'NEEDS_REVIEW' AND NEW.status IN ('PROCESSING', 'CONFIRMED', 'CANCELLED')
                AND coalesce(current_setting('orders.operator', true), '') <> '')
        THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'order %: illegal transition from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation';
    END $$
    """,
    """
    CREATE TRIGGER orders_check_transition BEFORE UPDATE OF status ON orders
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION orders_check_transition()
    """,
)


def upgrade() -> None:
    for statement in (*_TABLES, *_LEGAL_TRANSITIONS):
        op.execute(statement)
    for name, value in _POLICIES:
        op.execute(
            f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {name} = ''{value}''', current_database()); END $$"
        )
