"""Customers say where messages about their orders may go, and prove with a code that they read them there."""
