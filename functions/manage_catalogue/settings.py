from orders.settings import DatabaseSettings


class Settings(DatabaseSettings):
    """Nothing beyond the database."""
