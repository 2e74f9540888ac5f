"""The payment simulator's tables as its own migrations leave them; a test compares the two.

They have a schema of their own: the simulator stands for a system outside ours, so nothing joins them.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    text,
)

from tests.support import tables

SCHEMA: Final = "gateway"

metadata: Final = MetaData(schema=SCHEMA, naming_convention=tables.metadata.naming_convention)

payments: Final = Table(
    "payments",
    metadata,
    Column("key", Text, primary_key=True),
    Column("payment_id", Uuid, nullable=False, unique=True),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("error", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("refunded", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("refunded BETWEEN 0 AND amount", name="refunded_within"),
    CheckConstraint(
        "status IN ('OPEN', 'ACTION_REQUIRED', 'CAPTURED', 'DECLINED', 'VOIDED', 'REFUNDED')",
        name="status_known",
    ),
)

# No uniqueness per key: the ledger must be able to show a double capture, or no check could find one.
entries: Final = Table(
    "entries",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, ForeignKey(payments.c.key), nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("kind IN ('CAPTURE', 'REFUND')", name="kind_known"),
    CheckConstraint("amount > 0", name="amount_positive"),
)
Index("entries_key", entries.c.key)

refunds: Final = Table(
    "refunds",
    metadata,
    # Null: made in the dashboard.
    Column("refund_key", Text, unique=True),
    Column("key", Text, ForeignKey(payments.c.key), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("refund_id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
    CheckConstraint("amount > 0", name="amount_positive"),
)
Index("refunds_key", refunds.c.key)

disputes: Final = Table(
    "disputes",
    metadata,
    Column("dispute_id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
    Column("key", Text, ForeignKey(payments.c.key), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="OPEN"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("amount > 0", name="amount_positive"),
    CheckConstraint("status IN ('OPEN', 'WON', 'LOST')", name="status_known"),
)
Index("disputes_key", disputes.c.key)

outages: Final = Table(
    "outages",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("ends_at", DateTime(timezone=True), nullable=False),
)
