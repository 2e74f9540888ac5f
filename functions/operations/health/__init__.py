"""The detailed health of the system."""
