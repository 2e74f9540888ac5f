"""Customers' webhooks: what the API that registers them and the function that delivers to them have in common."""
