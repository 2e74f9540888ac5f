"""Orders that are not at their end: what is known of them, their executions, and their review."""
