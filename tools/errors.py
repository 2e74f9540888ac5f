"""What people see when the local cloud cannot do something."""


class LocalCloudError(Exception):
    """The message is for the person at the terminal: what happened, and what to do about it."""
