"""A relay that does not know a queue must not start: it would find out with the first event for it."""

import json

import pytest
from pydantic import ValidationError

from functions.outbox_relay.settings import Settings
from orders.events import CATALOGUE, Queue

URLS = {str(queue): f"https://sqs.us-east-1.amazonaws.com/000000000000/{queue}" for queue in Queue}


def start(monkeypatch: pytest.MonkeyPatch, queue_urls: str) -> Settings:
    monkeypatch.setenv("QUEUE_URLS", queue_urls)
    monkeypatch.setenv("RELAY_WINDOW_SECONDS", "61")
    return Settings.from_environment()


def test_queue_urls_are_read_by_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = start(monkeypatch, json.dumps(URLS))
    assert settings.queue_urls[Queue.ORDER_PROCESSING].endswith("/order-processing")
    assert settings.relay_window_seconds == 61


@pytest.mark.parametrize("queue", sorted({event.queue for event in CATALOGUE.values()}))
def test_a_queue_of_the_catalogue_without_a_url_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, queue: Queue
) -> None:
    urls = {name: url for name, url in URLS.items() if name != queue}
    with pytest.raises(ValidationError, match=f"no URL for {queue}"):
        start(monkeypatch, json.dumps(urls))


@pytest.mark.parametrize("value", ["", "[]", "{", '{"no-such-queue": "https://sqs"}'])
def test_anything_but_an_object_of_queues_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    with pytest.raises(ValidationError):
        start(monkeypatch, value)
