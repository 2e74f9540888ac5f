"""What operators see and do: queues and their dead letters, orders under review, the outbox, executions, health."""
