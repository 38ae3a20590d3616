"""The dev server's parts."""
