"""The functions as the platforms run them, by the platforms' own tools."""
