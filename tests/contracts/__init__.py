"""What must hold everywhere: for both stores, for whatever stands in them, and for the packages' imports and names."""
