"""What keeps counters from going down when the store went back in time."""
