"""The read street: the shared state becomes one page."""
