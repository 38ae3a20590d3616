"""Write street, first part: measure one request or invocation, then flush."""
