"""What instruments record."""
