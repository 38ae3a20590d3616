"""The parts of the dev server."""
