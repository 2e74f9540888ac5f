"""Watches what reservations leave on the shelves."""
