"""`make bench`: what the system costs, measured on this machine and held against its budgets.

One module a family of measurements, each with a `measure(bench)`; `budgets` is the one place that says how much a
value may be. Whatever can be compared is compared within one run, in alternating rounds, so that the noise of a
shared machine hits both sides.
"""
