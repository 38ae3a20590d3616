"""The dashboard of the dev server."""
