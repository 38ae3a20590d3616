"""Write street, second part: the values under prometheus_client's instruments, which record deltas."""
