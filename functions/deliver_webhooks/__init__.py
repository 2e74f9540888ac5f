"""Sends the end of an order to its owner's webhooks, signed, and again until it gets through or a day is over."""
