"""Holds every movement of money against the gateway's record and the order's status."""
