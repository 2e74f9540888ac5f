from collections.abc import Callable

import pytest

from tests.integration.refunds import support
from tests.integration.saga.conftest import pipeline, process, shared_credentials
from tests.integration.saga.pipeline import Order, Pipeline

__all__ = ["pipeline", "process", "shared_credentials"]


@pytest.fixture
def confirmed(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Order]:
    """Makes an order that the saga has confirmed: two units at 12.50 and one at 40.00."""
    support.deploy(monkeypatch, pipeline.database, pipeline.gateway)

    def make() -> Order:
        order = pipeline.order()
        order.run()
        return order

    return make
