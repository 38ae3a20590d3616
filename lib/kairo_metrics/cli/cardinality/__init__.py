"""Which families and labels take the room in the store."""
