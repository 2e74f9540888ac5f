"""Events of the outbox that could not be published."""
