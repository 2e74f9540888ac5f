"""The catalogue as administrators see and change it: products, their prices, their stock and how it moved."""
