"""Code shared by the functions in `api/`; the repository's root is on `sys.path`."""
