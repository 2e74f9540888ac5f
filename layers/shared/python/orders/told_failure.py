"""Why an order failed, as a field of what its owner reads."""

from typing import Annotated

from pydantic import BeforeValidator

from orders.domain import PublicFailureReason, public_failure_reason

ToldFailureReason = Annotated[PublicFailureReason | None, BeforeValidator(public_failure_reason)]
"""It takes the order's failure reason."""
