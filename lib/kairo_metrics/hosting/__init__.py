"""What the dev server and the production server share: the functions of `api/` as one ASGI app."""
