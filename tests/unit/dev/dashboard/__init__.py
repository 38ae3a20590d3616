"""The dashboard's side of the dev server."""
