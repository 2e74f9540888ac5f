"""The payment gateway as we see it, and how a provider of it is chosen."""
