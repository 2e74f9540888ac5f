"""An order's lines as they were sold: no later change of the catalogue changes an order (ADR 0035)."""

from typing import Final

PRODUCT_NAME: Final = (
    "coalesce(item.product_name, (SELECT name FROM products WHERE products.id = item.product_id))"
)
"""SQL for the name under which a row `item` of `order_items` was sold. Orders from before names were kept have the
catalogue's, which for all others is not looked at."""
