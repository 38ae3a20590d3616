"""The dev server behind make run: api/ on one port, a private Redis, and the dashboard."""
