"""Pages on which no counter goes down after the store went back in time."""
