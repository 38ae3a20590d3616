"""What an operator reads from the store and deletes from it; no request needs this."""
