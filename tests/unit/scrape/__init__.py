"""What a page makes of the shared state."""
