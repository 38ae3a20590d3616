"""Writers as real processes, a real Redis and a network with random faults: at the end all sums must be exact."""
