"""What a page makes of a store that went back in time."""
