"""Where a request is measured."""
