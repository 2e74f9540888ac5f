"""The four steps of a refund, and what marks it for review: five functions from one package."""
