from orders.webhooks.settings import WebhookSettings


class Settings(WebhookSettings):
    """What registering a webhook needs, and nothing beyond it."""
