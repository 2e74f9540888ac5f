"""Tells customers what became of their orders: each thing once per channel."""
