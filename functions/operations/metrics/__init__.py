"""What a Prometheus server reads: counters, histograms and gauges of the whole system, not of one process."""
