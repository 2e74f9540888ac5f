"""No work is begun that may not be finished in the function's time: a cut-off repair is safe, but it is not counted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from orders.db import RETRY_WINDOW_SECONDS, SOCKET_TIMEOUT_SECONDS

TRANSACTION_SECONDS: Final = RETRY_WINDOW_SECONDS + SOCKET_TIMEOUT_SECONDS
"""The longest that one unit of work on the database takes, or gives up after."""
ORDER_SECONDS: Final = 15.0
"""To find out about an order's execution and start another: two or three calls to Step Functions, a transaction."""
PAYMENT_SECONDS: Final = 15.0
"""To settle a payment: a look, a void and a refund at a gateway that takes 2 seconds for each, and two transactions."""


@dataclass(frozen=True)
class Deadline:
    """The end of the function's time, `remaining_seconds` away."""

    remaining_seconds: Callable[[], float]

    def allows(self, seconds: float) -> bool:
        """Whether work that takes up to so long may begin."""
        return self.remaining_seconds() >= seconds
