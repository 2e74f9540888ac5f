"""Trap T22: a queue without a consumer keeps its messages for ever. Here the deployed app is asked, not a list."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from orders.events import CATALOGUE, EVENT_QUEUES, EventData
from tests.infra.stacks import SynthesizedStack

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def stack(synthesize: Callable[[str], SynthesizedStack]) -> SynthesizedStack:
    return synthesize("local")


def written_events() -> list[str]:
    """The types of the events that something writes: those whose class is instantiated, or whose type stands in SQL."""
    modules = [*(ROOT / "functions").glob("*/*.py"), *(ROOT / "layers/shared/python/orders").rglob("*.py")]
    written = set()
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text())):
            match node:
                case ast.Call(func=ast.Name(id=name)) | ast.Attribute(value=ast.Name(id=name), attr="type"):
                    written.add(name)
    return sorted(type_ for type_, event in CATALOGUE.items() if event.__name__ in written)


def test_the_pipeline_writes_events() -> None:
    assert {"com.orders.order.created.v1", "com.orders.notification.requested.v1"} <= set(written_events())


# The first synthesis may have to download the wheels of the layer.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("event_type", written_events())
def test_every_event_that_is_written_has_a_consumer_that_expects_it(
    stack: SynthesizedStack, event_type: str
) -> None:
    event = CATALOGUE[event_type]
    assert event.queue in stack.consumers, f"nobody consumes {event.queue}"
    function, _ = stack.consumers[event.queue]
    package = ROOT / "functions" / function.replace("-", "_")
    names = {
        node.id
        for module in package.glob("*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Name)
    }
    kinds = {kind.__name__ for kind in event.__mro__ if issubclass(kind, EventData)} - {EventData.__name__}
    assert kinds & names, f"{function} consumes {event.queue}, but knows nothing of {event.__name__}"


@pytest.mark.timeout(600)
def test_the_relay_knows_every_queue(stack: SynthesizedStack) -> None:
    assert {event.queue for event in CATALOGUE.values()} == set(EVENT_QUEUES) <= set(stack.queues)
    assert all(queue in str(stack.environment("outbox-relay")["QUEUE_URLS"]) for queue in EVENT_QUEUES)
