"""How a request is measured."""
