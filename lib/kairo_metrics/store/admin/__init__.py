"""What an operator asks of the store, and deletes from it."""
