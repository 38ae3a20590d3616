"""Connections to one server, to a cluster or through sentinels, and the clients that are lent to tasks and threads."""
