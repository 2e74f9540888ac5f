"""`POST /orders`: accepts an order in one transaction and answers at once."""
