"""Databases without tables."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import pytest

from orders.db import Credentials
from tests.support.postgres import Server


@pytest.fixture
def empty_database(postgres_server: Server) -> Iterator[Callable[[], Credentials]]:
    """Makes as many as a test asks for."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(_empty_database(postgres_server))


@contextmanager
def _empty_database(server: Server) -> Iterator[Credentials]:
    name = f"empty_{uuid4().hex}"
    server.administer(f"CREATE DATABASE {name}")
    try:
        yield server.credentials(name)
    finally:
        server.administer(f"DROP DATABASE {name} WITH (FORCE)")
