"""The dev server: every function of `api/` on one port, with a Redis of its own."""
