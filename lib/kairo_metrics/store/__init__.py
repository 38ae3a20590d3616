"""The shared state in Redis: writers apply batches to it, and the page reads it."""
