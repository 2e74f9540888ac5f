"""Refunds: asking for one, those that need an operator, and what is done about them."""
