"""What passes through a store, and how it is read."""
