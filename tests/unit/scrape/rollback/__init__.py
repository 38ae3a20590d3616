"""Pages after the store went back in time."""
