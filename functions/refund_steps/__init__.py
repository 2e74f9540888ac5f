"""The four steps of a refund, and what marks it for review: one function, since they need the same rights."""
