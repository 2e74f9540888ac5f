from pydantic import Json, PositiveFloat, field_validator

from orders.events import CATALOGUE, Queue
from orders.settings import DatabaseSettings


class Settings(DatabaseSettings):
    queue_urls: Json[dict[Queue, str]]
    """A JSON object from queue names to URLs."""
    relay_window_seconds: PositiveFloat
    """How long one run looks for new events."""

    @field_validator("queue_urls")
    @classmethod
    def _every_queue_of_the_catalogue(cls, urls: dict[Queue, str]) -> dict[Queue, str]:
        missing = sorted({event.queue for event in CATALOGUE.values()} - urls.keys())
        if missing:
            raise ValueError(f"no URL for {', '.join(missing)}")
        return urls
