"""The only publisher of events: it moves outbox rows to their queues, at least once each."""
