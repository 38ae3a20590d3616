"""Named faults against a real Redis behind a proxy: what comes of each is told to the last increment."""
