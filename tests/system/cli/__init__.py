"""The commands of `python -m lib.kairo_metrics` with a real Redis."""
