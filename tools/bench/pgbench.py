"""The floor: the SQL of a request as the function really sent it, run by Postgres's own benchmark.

Some requests are listened to at the socket. What differs between them (ids, the idempotency key, …) has to be new in
every transaction; pgbench counts it up. The rest is the same in all.
"""

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.bench.database import BenchDatabase
from tools.cloud import postgres
from tools.round_trips import Statement

_COUNTER: Final = ":number"
_LAST_DIGIT: Final = ":digit"
# Of twelve digits, as the last group of a UUID.
_FIRST_NUMBER: Final = 100_000_000_000
_MOST_TRANSACTIONS: Final = 100_000
"""Of one session, and so the distance between the numbers of two."""


@dataclass
class Script:
    """A transaction for pgbench. Each run of it goes on counting where the last one stopped."""

    path: Path
    sessions: int = 0

    def run(self, database: BenchDatabase, transactions: int) -> list[float]:
        """The milliseconds of each transaction, from one client."""
        first = _FIRST_NUMBER + _MOST_TRANSACTIONS * self.sessions
        self.sessions += 1
        credentials = database.credentials
        with tempfile.TemporaryDirectory() as logs:
            subprocess.run(
                [
                    *(str(postgres.binaries() / "pgbench"), "--no-vacuum", f"--file={self.path}"),
                    *(f"--transactions={transactions}", "--client=1", "--log", f"--define=number={first}"),
                    *("-h", credentials.host, "-p", str(credentials.port), "-U", credentials.username),
                    credentials.dbname,
                ],
                cwd=logs,
                check=True,
                capture_output=True,
            )
            (log,) = Path(logs).iterdir()
            # Each line: client, transaction, microseconds, …
            return [int(line.split()[2]) / 1000 for line in log.read_text().splitlines()]


def script(requests: Sequence[Sequence[Statement]], path: Path) -> Script:
    """A script from the statements of requests for the same. Two may have a lane in common; many have not."""
    lines = [f"\\set number {_COUNTER} + 1", f"\\set digit {_COUNTER} % 10"]
    for alike in zip(*requests, strict=True):
        if len({statement.sql for statement in alike}) > 1:
            raise ValueError("the requests did not send the same statements")
        parameters = tuple(
            value if value is None or len({value, *others}) == 1 else _counted(value)
            for value, *others in zip(*(statement.parameters for statement in alike), strict=True)
        )
        lines.append(" ".join(Statement(alike[0].sql, parameters).inlined().split()) + ";")
    path.write_text("\n".join(lines) + "\n")
    return Script(path)


def _counted(value: str) -> str:
    """The value with the counter at its end, where a UUID has twelve digits too. A digit is an order's rate lane, which
    follows from its id."""
    if len(value) == 1:
        return _LAST_DIGIT
    return value[: -len(str(_FIRST_NUMBER))] + _COUNTER
