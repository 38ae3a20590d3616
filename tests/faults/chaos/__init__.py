"""Named faults with a real Redis behind a proxy: after each one, every increment is accounted for."""
