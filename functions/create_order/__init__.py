"""`POST /orders`: accepts an order in one transaction and responds at once."""
