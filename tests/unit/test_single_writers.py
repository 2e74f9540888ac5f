"""What an order's status and a payment may become is decided in one module each: no other one writes them. Only
personal data is taken out of orders elsewhere."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
ORDERS: Final = ROOT / "layers" / "shared" / "python" / "orders"
MIGRATIONS: Final = ROOT / "functions" / "migrate" / "versions"

# In SQL, and by SQLAlchemy's own functions. `POST /orders` inserts the order: its status is the column's default then.
CHANGES: Final = r"UPDATE\s+(?:ONLY\s+)?{table}\b|\b{table}\.update\(|\bupdate\((?:\w+\.)?{table}\)"
INSERTS: Final = r"INSERT\s+INTO\s+{table}\b|\b{table}\.insert\(|\binsert\((?:\w+\.)?{table}\)"
ERASURE: Final = r" SET contact_email = NULL, contact_phone = NULL, payment_method = NULL\s+WHERE"
DELETES: Final = r"DELETE\s+FROM\s+{table}\b|\b{table}\.delete\(|\bdelete\((?:\w+\.)?{table}\)"

WRITERS: Final = [
    ("orders", f"(?:{CHANGES})(?!{ERASURE})", ORDERS / "lifecycle.py"),
    ("payments", f"{CHANGES}|{INSERTS}|{DELETES}", ORDERS / "payments" / "records.py"),
    ("refunds", f"{CHANGES}|{INSERTS}|{DELETES}", ORDERS / "refunds.py"),
    ("payment_disputes", f"{CHANGES}|{INSERTS}|{DELETES}", ORDERS / "payments" / "disputes.py"),
]


@pytest.mark.parametrize(("table", "writes", "owner"), WRITERS, ids=[table for table, _, _ in WRITERS])
def test_one_module_writes(table: str, writes: str, owner: Path) -> None:
    pattern = re.compile(writes.format(table=table), re.IGNORECASE)
    sources = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers").rglob("*.py")]

    writers = {
        path.relative_to(ROOT)
        for path in sources
        if MIGRATIONS not in path.parents and pattern.search(path.read_text(encoding="utf-8"))
    }

    assert writers == {owner.relative_to(ROOT)}


def test_an_order_is_placed_with_the_status_that_the_table_gives_it() -> None:
    source = (ROOT / "functions" / "create_order" / "place_order.py").read_text(encoding="utf-8")
    (columns,) = re.findall(r"INSERT INTO orders \(([^)]*)\)", source)

    assert "status" not in re.split(r"[\s,]+", columns)
