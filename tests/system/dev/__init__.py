"""`make run` and its dashboard."""
