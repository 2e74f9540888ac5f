"""Stripe on this machine: localstripe, a stateful fake of it, behind a front that is as strict as Stripe is.

`python -m tools.stripe` runs it. `tools.stripe.server` starts it for tests and speaks to its controls.
"""
