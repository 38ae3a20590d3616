"""How the nodes of a cluster are reached."""

from __future__ import annotations

from typing import Any

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.store.connections.connection import AsyncNodeConnection, NodeConnection


def test_all_nodes_use_the_login_and_tls_of_the_address() -> None:
    """A certificate must be valid for the host that the cluster names; login and CA come from the address."""
    url = "rediss://user:secret@home.example.org:7000?ssl_cert_reqs=required"
    for kind in (AsyncNodeConnection, NodeConnection):
        node_connection: Any = kind(url, Settings(redis_url=url), ("other.example.org", 7001))
        connection = node_connection._connection
        assert (connection.host, connection.port) == ("other.example.org", 7001)
        assert type(connection).__name__ == "SSLConnection"
        assert node_connection._handshake == (("AUTH", "user", "secret"),)


def test_other_nodes_are_reached_by_host_from_a_unix_socket() -> None:
    """If the address is a Unix socket, the other nodes of the cluster are reached by their hosts."""
    node_connection: Any = NodeConnection("unix:///run/redis.sock", Settings(), ("10.0.0.1", 7001))
    assert (type(node_connection._connection).__name__, node_connection._connection.host) == ("Connection", "10.0.0.1")
