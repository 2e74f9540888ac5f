"""The demonstration: orders of every kind at once, what became of each, and whether the promises held.

`scenarios` says what is ordered and what is expected, `placing` orders it, `comparison` finds the differences, `report`
prints both; `run` does it all.
"""
