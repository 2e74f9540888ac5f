"""Starts one execution of the saga for each order that was created."""
