"""Stripe as a payment provider: cards, by payment intents."""
