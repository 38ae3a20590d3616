"""The commands of `python -m lib.kairo_metrics` on a real Redis."""
