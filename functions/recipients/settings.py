from pydantic import BaseModel, ConfigDict, Json, NonNegativeInt

from orders.settings import DatabaseSettings


class CodeLimits(BaseModel):
    """Confirmation codes an hour."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipient: NonNegativeInt
    """To one address, whoever asks."""
    user: NonNegativeInt
    """Asked for by one user, for whatever addresses."""
    stage: NonNegativeInt
    """In all."""


class Settings(DatabaseSettings):
    code_key_id: str
    """ARN or name of the Secrets Manager secret that confirmation codes are derived from."""
    code_limits: Json[CodeLimits]
    """A JSON object: how many codes may be asked for in an hour."""
