"""Placing orders, for several families: they all need some."""

from collections.abc import Sequence
from uuid import UUID

from tools.bench import events
from tools.bench.functions import Call, Round, Worker


def place(creator: Worker, products: Sequence[UUID], times: int) -> Round:
    """Places an order of one of each product, so many times over, one after the other."""
    placed = creator.invoke([Call(events.post_order(products)) for _ in range(times)])
    refused = [answer for answer in placed.answers if answer["statusCode"] != 202]
    if refused:
        raise RuntimeError(f"{len(refused)} of {times} orders were not accepted: {refused[0]['body']}")
    return placed


def order_ids(placed: Round) -> list[str]:
    """The ids of the orders that were placed."""
    return [answer["headers"]["Location"].rpartition("/")[2] for answer in placed.answers]
