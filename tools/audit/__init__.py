"""The promises I1–I13 (docs/promises.md), checked wherever something is on record.

`evidence.judge` is the one checker: `bin/orders audit`, the demonstration, chaos and the tests use it or its parts.
Each module reads one place and has the checks that this place allows: `database` (with the payment gateway's ledger),
`executions`, `dead_letters` and `mailbox`. What only a run of chaos knows is given to it.
"""

from typing import Final

REST_SECONDS: Final = 30
"""For what follows the end of the last order: its mail, and the end of its execution."""
