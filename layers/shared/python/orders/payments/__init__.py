"""The payment gateway as we see it, and the simulator that stands in for one."""
