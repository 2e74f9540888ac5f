"""The payment methods of the simulator. Nothing is imported here: `POST /orders` reads it before it takes an order."""

from typing import Final

METHODS: Final = (
    "pm_card_visa",
    "pm_card_declined",
    "pm_card_fraud",
    "pm_card_flaky",
    "pm_card_timeout",
    "pm_card_down",
    "pm_card_requires_action",
    "pm_simulated",
)
"""Test methods. What each does is in `payment_simulator.gateway`; `pm_simulated` follows the configured rates."""
