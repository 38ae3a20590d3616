"""The servers behind one Redis address, as far as they are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...config.redis_url import read_redis_url
from ...config.settings import Settings
from .connection import address_of
from .node_request import Address, Node

if TYPE_CHECKING:
    from .cluster import Cluster
    from .sentinel import Sentinels

__all__ = ["Topology"]


class Topology:
    """One server, a cluster, or sentinels that know the address of the server.

    All clients of an address share it, so each of them uses what another one has learned.

    Args:
        url: the address.
        settings: time limits, and how certificates are checked.
        reading: whether a replica may be used.

    Attributes:
        cluster: the cluster; None until a redirect has shown that there is one.
        sentinels: the sentinels; None where the address names none.
    """

    def __init__(self, url: str, settings: Settings, *, reading: bool = False) -> None:
        address = read_redis_url(url)
        self.settings = settings
        self.url = address.url
        self._sentinel_url = address.sentinel_url
        self.cluster: Cluster | None = None
        self.sentinels: Sentinels | None = None
        if address.service:
            from .sentinel import Sentinels

            self.sentinels = Sentinels(address.hosts, address.service, reading=reading)
        elif len(address.hosts) > 1:
            self.known_cluster(address.hosts[1:])

    def url_of(self, node: Node) -> str:
        """Return the address of a node. A sentinel's address has neither the login of Redis nor its database."""
        return self._sentinel_url if self.sentinels is not None and node in self.sentinels.hosts else self.url

    def known_cluster(self, seeds: Sequence[Address] = ()) -> Cluster:
        """Return the cluster; call this only after a server has said that it is part of one.

        Args:
            seeds: further nodes that the settings name.
        """
        if self.cluster is None:
            from .cluster import Cluster

            self.cluster = Cluster(address_of(self.url), seeds)
        return self.cluster
