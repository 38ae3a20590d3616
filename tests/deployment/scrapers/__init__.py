"""The deployment files, checked with the platforms' own tools."""
