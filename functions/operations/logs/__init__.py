"""The log lines of one order."""
