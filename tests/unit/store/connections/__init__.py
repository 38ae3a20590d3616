"""How a store is asked, without a server."""
