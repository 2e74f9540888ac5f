"""Customers who cancel, beside the saga on its bench."""

from tests.integration.saga.conftest import pipeline, process, shared_credentials

__all__ = ["pipeline", "process", "shared_credentials"]
