"""The functions of api/ as one app."""
