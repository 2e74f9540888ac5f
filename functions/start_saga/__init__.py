"""Starts one execution of the saga for each order that was created, and one of its own for each refund."""
