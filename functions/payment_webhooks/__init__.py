"""Takes in what the payment provider's webhooks say, and queues it."""
