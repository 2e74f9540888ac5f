"""What the code of a release says to Postgres, statement by statement, so that it can be said again to a newer schema.

A story is one run of the functions: one order from its post to its last mail, or a round of maintenance. It is told
again with other ids, so that it can be told any number of times and at the same time. Its transactions are the
recorded ones, since BEGIN and COMMIT are statements too.
"""

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID

from orders import driver
from orders.db import Credentials
from orders.ids import uuid7
from tools.round_trips import Statement

RECORDED: Final = Path(__file__).parent / "recorded"
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Story:
    status: str | None
    """The order's in the end; None if it is of no order."""
    order_id: UUID | None
    product_ids: list[UUID]
    statements: list[Statement]


@dataclass(frozen=True)
class Recording:
    """The stories of the code that ran when `revision` was the newest."""

    revision: str
    stories: list[Story]

    def save(self) -> None:
        # Each statement once: the stories have most of them in common.
        texts = sorted({statement.sql for story in self.stories for statement in story.statements})
        places = {sql: place for place, sql in enumerate(texts)}
        stories = [
            {
                "status": story.status,
                "order": story.order_id and str(story.order_id),
                "products": [str(product_id) for product_id in story.product_ids],
                "said": [[places[said.sql], *said.parameters] for said in story.statements],
            }
            for story in self.stories
        ]
        content = json.dumps({"statements": texts, "stories": stories}, indent=1)
        (RECORDED / f"{self.revision}.json").write_text(content + "\n", encoding="utf-8")

    @classmethod
    def of_the_code_at(cls, revision: str) -> Self:
        """The newest recording that is not newer than the revision."""
        path = max(path for path in RECORDED.glob("*.json") if path.stem <= revision)
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(path.stem, [_story(content["statements"], story) for story in content["stories"]])


def _story(texts: list[str], told: dict[str, Any]) -> Story:
    return Story(
        told["status"],
        told["order"] and UUID(told["order"]),
        [UUID(product_id) for product_id in told["products"]],
        [Statement(texts[place], tuple(parameters)) for place, *parameters in told["said"]],
    )


class Teller:
    """One process of the old code: it tells stories over one connection, which has the functions' limits."""

    def __init__(self, credentials: Credentials) -> None:
        self._connection = credentials.connect()
        self.told = 0

    def tell(self, story: Story) -> None:
        """Tells it with ids of its own.

        Raises:
            pg8000.dbapi.DatabaseError: Postgres refuses a statement.
            AssertionError: the order does not end as it did.
        """
        ids: defaultdict[str, str] = defaultdict(lambda: str(uuid7()))
        for product_id in story.product_ids:
            product = ids[str(product_id)]
            self._say(
                f"INSERT INTO products (id, name, unit_price, currency) VALUES ('{product}', 'Tea', 5, 'USD')"
            )
            self._say(f"INSERT INTO stock (product_id, stocked, available) VALUES ('{product}', 9, 9)")
        for statement in story.statements:
            other = partial(_with_other_ids, ids)
            self._say(Statement(statement.sql, tuple(map(other, statement.parameters))).inlined())
        if story.order_id is not None:
            ((status,),) = self._say(f"SELECT status FROM orders WHERE id = '{ids[str(story.order_id)]}'")
            assert status == story.status
        self.told += 1

    def roll_back(self) -> None:
        self._say("ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    def _say(self, sql: str) -> Any:
        return driver.Connection.execute_simple(self._connection, sql).rows


def _with_other_ids(ids: defaultdict[str, str], parameter: str | None) -> str | None:
    return None if parameter is None else _UUID.sub(lambda found: ids[found[0]], parameter)
