"""The audit: whether the promises of the system hold, by its books and the payment provider's."""
