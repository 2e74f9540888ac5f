"""The console: the page of operators. It asks the API for everything, with the operator's own token."""
