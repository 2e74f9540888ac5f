"""`POST /orders/{orderId}/cancellation`: turns the saga back, or refunds what was confirmed a moment ago."""
