"""The dev server of `make run`: serves api/ on one port, with a private Redis and the dashboard."""
