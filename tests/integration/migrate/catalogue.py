"""What a database consists of, as Postgres itself spells it: two databases are built alike if these are equal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, create_engine, pool, text

from orders.db import Credentials

# Object by name, then its definition. `oid::regclass` has the schema in it where it is not `public`.
_QUERIES: Final = {
    "column": """
        SELECT attrelid::regclass || '.' || attname,
               concat_ws(' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'NOT NULL' END,
                         'DEFAULT ' || pg_get_expr(adbin, adrelid), 'IDENTITY ' || nullif(attidentity::text, ''))
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
             LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attnum > 0 AND NOT attisdropped AND relkind = 'r' AND {ours}
    """,
    "constraint": """
        SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(pg_constraint.oid)
        FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
        WHERE {ours}
    """,
    "index": """
        SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid)
        FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
        WHERE {ours}
    """,
}
_OURS: Final = """
    relnamespace::regnamespace::text IN ('public', 'gateway', 'stripe')
    AND relname NOT IN ('alembic_version', 'payment_simulator_version', 'payment_stripe_version')
"""


@contextmanager
def connected(credentials: Credentials) -> Iterator[Connection]:
    engine = create_engine("postgresql+pg8000://", creator=credentials.connect, poolclass=pool.NullPool)
    with engine.begin() as connection:
        yield connection


def catalogue(credentials: Credentials) -> dict[str, str]:
    """Every column, constraint and index by name, with its definition."""
    with connected(credentials) as connection:
        return {
            f"{kind} {name}": definition
            for kind, query in _QUERIES.items()
            for name, definition in connection.execute(
                text(query.replace("{ours}", _OURS)).execution_options()
            )
        }
