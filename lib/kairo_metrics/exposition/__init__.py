"""Merged families as text that Prometheus reads."""
