"""The webhook routes as their owner uses them."""

from typing import Any

from tools.client.api_client import ApiClient


class WebhookClient(ApiClient):
    """The webhooks of one user."""

    def add(self, url: str, description: str | None) -> Any:
        """Registers an endpoint; the response is the only one with its secret."""
        return self.post("webhooks", url=url, description=description)

    def list_all(self) -> list[Any]:
        """The user's webhooks."""
        return list(self.items("webhooks"))

    def remove(self, webhook_id: str) -> None:
        """Removes a webhook."""
        self.delete(f"webhooks/{webhook_id}")

    def rotate(self, webhook_id: str) -> Any:
        """Replaces the secret; the response is the only one with it."""
        return self.post(f"webhooks/{webhook_id}/secret")

    def enable(self, webhook_id: str) -> Any:
        """Enables a webhook that was disabled."""
        return self.post(f"webhooks/{webhook_id}/enable")

    def deliveries(self, webhook_id: str, limit: int) -> list[Any]:
        """The newest deliveries of a webhook."""
        newest: list[Any] = self.get(f"webhooks/{webhook_id}/deliveries", limit=limit)["items"]
        return newest

    def redeliver(self, webhook_id: str, delivery_id: str) -> Any:
        """Has a delivery sent again."""
        return self.post(f"webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver")
