"""The functions of api/ as one ASGI app, for hosts that bring no server of their own."""
