"""Customers: plain HTTP clients that post orders, each over a connection of its own that stays open.

One that is told that the API is busy does as it is told and asks again, with the same key; its order's time counts
from its first attempt.

They are not `tools.client`'s: the clients share two cores with what is measured. A POST costs 0.2 ms of processor time
here and 0.8 ms there (httpx), which at the budget of 273 accepted orders a second is 8 % of the machine.
"""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from orders.contract import API_PREFIX

_TIMEOUT_SECONDS: Final = 30
"""API Gateway's own limit. Whoever waits longer is stuck."""
_BUSY: Final = frozenset({429, 503})
_MOST_REFUSALS: Final = 40
_SHORTEST_WAIT_SECONDS: Final = 0.02
_LONGEST_WAIT_SECONDS: Final = 0.2


@dataclass(frozen=True)
class AcceptedOrder:
    """An order that was accepted."""

    order_id: UUID
    sent_at: float
    """`time.time()` of the first attempt."""
    seconds: float
    """From the first attempt to the 202."""
    refusals: int
    """How often the API said that it was busy."""


class Customer:
    """One client with one connection."""

    def __init__(self, api_url: str, token: str) -> None:
        url = urlsplit(api_url)
        self._path = f"{url.path}{API_PREFIX}/orders"
        assert url.hostname is not None
        self._connection = http.client.HTTPConnection(url.hostname, url.port, timeout=_TIMEOUT_SECONDS)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, order: dict[str, Any]) -> AcceptedOrder:
        """Places an order.

        Raises:
            RuntimeError: the API did not accept it.
            TimeoutError: the API did not answer.
        """
        body = json.dumps(order)
        headers = {**self._headers, "Idempotency-Key": str(uuid4())}
        sent_at, started = time.time(), time.perf_counter()
        refusals = 0
        status, content = self._send(body, headers)
        while status in _BUSY and refusals < _MOST_REFUSALS:
            refusals += 1
            time.sleep(random.uniform(_SHORTEST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS))
            status, content = self._send(body, headers)
        if status != http.client.ACCEPTED:
            raise RuntimeError(f"an order was answered with {status}: {content[:300]!r}")
        order_id = UUID(json.loads(content)["orderId"])
        return AcceptedOrder(order_id, sent_at, time.perf_counter() - started, refusals)

    def _send(self, body: str, headers: dict[str, str]) -> tuple[int, bytes]:
        self._connection.request("POST", self._path, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        self._connection.close()


class Customers:
    """As many clients as it takes."""

    def __init__(self, api_url: str, token: str) -> None:
        self._api_url = api_url
        self._token = token

    def busy(self, number: int, seconds: float, order: dict[str, Any]) -> list[AcceptedOrder]:
        """So many clients for so long, each posting its next order when it has the answer to the last."""
        end = time.monotonic() + seconds

        def post(customer: Customer) -> list[AcceptedOrder]:
            posted = []
            while time.monotonic() < end:
                posted.append(customer.post(order))
            return posted

        return self._together(number, post)

    def at_once(self, number: int, order: dict[str, Any], each: int = 1) -> list[AcceptedOrder]:
        """So many clients that all start in the same moment, with so many orders each."""
        return self._together(number, lambda customer: [customer.post(order) for _ in range(each)])

    def steady(self, rate: float, seconds: float, order: dict[str, Any]) -> list[AcceptedOrder]:
        """So many orders a second, whatever becomes of them."""
        started = time.monotonic()

        def post(number: int) -> AcceptedOrder:
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            customer = Customer(self._api_url, self._token)
            try:
                return customer.post(order)
            finally:
                customer.close()

        numbers = range(int(rate * seconds))
        with ThreadPoolExecutor(len(numbers)) as threads:
            return list(threads.map(post, numbers))

    def _together(
        self, number: int, work: Callable[[Customer], Sequence[AcceptedOrder]]
    ) -> list[AcceptedOrder]:
        start = threading.Barrier(number)

        def run(customer: Customer) -> Sequence[AcceptedOrder]:
            start.wait()
            try:
                return work(customer)
            finally:
                customer.close()

        with ThreadPoolExecutor(number) as threads:
            customers = [Customer(self._api_url, self._token) for _ in range(number)]
            return [order for orders in threads.map(run, customers) for order in orders]
