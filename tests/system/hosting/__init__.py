"""Both servers, with the functions of a user's project."""
