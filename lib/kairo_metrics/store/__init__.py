"""Where the two streets meet: the state that all instances share."""
