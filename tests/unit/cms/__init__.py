"""The content API, module by module."""
