"""One module a family of measurements; each is a `measure(bench)`."""
