from orders.settings import DatabaseSettings


class Settings(DatabaseSettings):
    sender_email: str
    """A verified SES identity."""
