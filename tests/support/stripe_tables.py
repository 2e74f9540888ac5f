"""The table of Stripe's provider as its own migrations leave it; a test compares the two."""

from typing import Final

from sqlalchemy import CheckConstraint, Column, DateTime, MetaData, Table, Text, func

from tests.support import tables

SCHEMA: Final = "stripe"

metadata: Final = MetaData(schema=SCHEMA, naming_convention=tables.metadata.naming_convention)

payments: Final = Table(
    "payments",
    metadata,
    Column("key", Text, primary_key=True),
    Column("payment_intent_id", Text, unique=True),
    Column("closed_at", DateTime(timezone=True)),
    Column("error", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("error IS NULL OR closed_at IS NOT NULL", name="declined_is_closed"),
)
