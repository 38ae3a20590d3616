"""Where the two streets meet: the shared state in Redis."""
