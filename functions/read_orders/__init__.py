"""The read side of the API: orders and their progress, the catalogue, health."""
