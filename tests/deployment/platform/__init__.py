"""The functions on the platforms, run with the platforms' own tools."""
