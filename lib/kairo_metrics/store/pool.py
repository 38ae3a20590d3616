"""The links to one address, of which tasks and threads borrow one each, and what is known of the servers behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

from ..config import Settings
from ..redis_url import read_redis_url
from .connections import address_of
from .links import AsyncLink, Link
from .question import Address, Node

if TYPE_CHECKING:
    from .cluster import Cluster
    from .sentinel import Sentinels

__all__ = ["Pool"]


class Pool:
    """What is open to one address, and what is known of the cluster behind it, if there is one.

    Args:
        url: the address.
        settings: time limits, and how certificates are checked.
        reading: whether a replica will do.
    """

    def __init__(self, url: str, settings: Settings, *, reading: bool = False) -> None:
        address = read_redis_url(url)
        self.settings = settings
        self.url = address.url
        self._sentinel_url = address.sentinel_url
        self.cluster: Cluster | None = None
        self.sentinels: Sentinels | None = None
        self._idle: dict[asyncio.AbstractEventLoop, list[AsyncLink]] = {}
        self._sync_idle: list[Link] = []
        self._inherited: list[object] = []
        if address.service:
            from .sentinel import Sentinels

            self.sentinels = Sentinels(address.hosts, address.service, reading=reading)
        elif len(address.hosts) > 1:
            self.known_cluster(address.hosts[1:])

    @asynccontextmanager
    async def link(self) -> AsyncIterator[AsyncLink]:
        """See `Store.link`."""
        # A connection belongs to the event loop that opened it, and is gone with it.
        loop = asyncio.get_running_loop()
        for known in list(self._idle):
            if known.is_closed():
                self._idle.pop(known, None)
        idle = self._idle.setdefault(loop, [])
        link = idle.pop() if idle else AsyncLink(self)
        try:
            yield link
        finally:
            with suppress(RuntimeError):  # the event loop was closed in the midst of it; so is the connection
                await link.settle()
                idle.append(link)

    @contextmanager
    def sync_link(self) -> Iterator[Link]:
        """See `Store.sync_link`."""
        try:
            link = self._sync_idle.pop()
        except IndexError:
            link = Link(self)
        try:
            yield link
        finally:
            self._sync_idle.append(link)

    async def aclose(self) -> None:
        """Close the connections of this event loop and of threads that nobody uses."""
        for link in self._idle.pop(asyncio.get_running_loop(), []):
            await link.close()
        while self._sync_idle:
            self._sync_idle.pop().close()

    def forget_connections(self) -> None:
        """Leave the connections alone after a fork: they are the parent's, and so is the place where it waits for them.

        They are kept for ever, because a connection that is collected closes itself.
        """
        self._inherited.append((self._idle, self._sync_idle))
        self._idle, self._sync_idle = {}, []

    def url_of(self, node: Node) -> str:
        """Return the address to reach a node by: a sentinel does not get the login of Redis, nor its database."""
        return self._sentinel_url if self.sentinels is not None and node in self.sentinels.hosts else self.url

    def known_cluster(self, seeds: Sequence[Address] = ()) -> Cluster:
        """Return what is known of the cluster; whoever asks has been told that there is one."""
        if self.cluster is None:
            from .cluster import Cluster

            self.cluster = Cluster(address_of(self.url), seeds)
        return self.cluster
