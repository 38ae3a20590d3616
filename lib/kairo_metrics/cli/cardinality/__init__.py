"""How many series each family and label has in the store."""
