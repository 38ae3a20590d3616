"""The functions in api/ as one app."""
