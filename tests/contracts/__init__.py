"""What must always hold: for both stores, for sound and damaged data, and for the package's imports and names."""
