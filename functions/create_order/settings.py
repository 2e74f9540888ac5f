from pydantic import PositiveInt

from orders.settings import DatabaseSettings


class Settings(DatabaseSettings):
    orders_per_minute: PositiveInt
    """How many new orders one user may place."""
