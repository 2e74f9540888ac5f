"""Customers register where they want to hear of their orders, and look at what was delivered."""
