"""Brings our books in line with what has happened at the payment provider."""
