"""The payment simulator: a payment provider for demonstrations and tests, with a ledger of its own."""
