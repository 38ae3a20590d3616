"""A pool of clients for one address; each task and each thread borrows one."""

from __future__ import annotations

import asyncio

from ...config.settings import Settings
from .client import AsyncClient, Client
from .topology import Topology

__all__ = ["ClientPool"]


class ClientPool:
    """Lends clients, and keeps the connections of a returned client open.

    Args:
        url: the address.
        settings: time limits, and how certificates are checked.
        reading: whether a replica may be used.
    """

    def __init__(self, url: str, settings: Settings, *, reading: bool = False) -> None:
        self._topology = Topology(url, settings, reading=reading)
        self._idle: dict[asyncio.AbstractEventLoop, list[AsyncClient]] = {}
        self._sync_idle: list[Client] = []
        self._inherited: list[object] = []

    def client(self) -> AsyncClient:
        """See `Store.client`."""
        # A connection belongs to the event loop that opened it, and cannot be used after that loop has ended.
        loop = asyncio.get_running_loop()
        for known in list(self._idle):
            if known.is_closed():
                self._idle.pop(known, None)
        idle = self._idle.setdefault(loop, [])
        return idle.pop() if idle else AsyncClient(self._topology, idle)

    def sync_client(self) -> Client:
        """See `Store.sync_client`."""
        try:
            return self._sync_idle.pop()
        except IndexError:
            return Client(self._topology, self._sync_idle)

    async def aclose(self) -> None:
        """Close the idle connections of this event loop and of all threads."""
        for client in self._idle.pop(asyncio.get_running_loop(), []):
            await client.close()
        while self._sync_idle:
            self._sync_idle.pop().close()

    def forget_connections(self) -> None:
        """Stop using the connections after a fork: they belong to the parent.

        The child never releases them, because a garbage-collected connection closes itself.
        """
        self._inherited.append((self._idle, self._sync_idle))
        self._idle, self._sync_idle = {}, []
