"""Serves the functions in api/ as one ASGI app: the production server, and what the dev server shares with it."""
