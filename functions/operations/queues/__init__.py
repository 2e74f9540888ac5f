"""Queues and their dead letters: counted, explained, redriven or discarded."""
