"""A page in each of its formats."""
