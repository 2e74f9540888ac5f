"""`make bench`: what the system costs, measured on this machine and held against its budgets.

Each family of measurements is a function that is given the `Bench`: `__main__` lists them. `budgets` is the one place
that says how much a value may be. Whatever can be compared is compared within one run, in alternating rounds, so that
the noise of a shared machine hits both sides.
"""
