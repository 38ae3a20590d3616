"""The documentation; `docs.site` lays out its site."""
