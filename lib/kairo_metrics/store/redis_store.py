"""The store in Redis, or whatever speaks its protocol and runs Lua: one server, or a cluster.

What it needs of redis is imported when the first connection is made: it is the dearest import of a cold start.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..errors import StoreError, StoreUnavailable
from ..model.batch import Batch, Verdict, Writer
from .command_flow import CommandFlow
from .keys import Keys
from .replies import is_wrong_type, raise_refusal
from .scripts import apply, load_script

if TYPE_CHECKING:
    from ..model.snapshot import IndexEntry, Snapshot
    from .client import AsyncClient, Client
    from .client_pool import ClientPool
    from .node_request import Node, NodeRequest

__all__ = ["RedisStore"]

# Series per trip of a scrape: what keeps Redis for about a millisecond.
_CHUNK = 1_000
_KEYS_PER_TRIP = 8


class RedisStore:
    """Shared state in Redis, Valkey, or whatever speaks their protocol and runs Lua.

    Args:
        settings: the address, the namespace and the bounds.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._writing: ClientPool | None = None
        self._reading: ClientPool | None = None
        self.is_loaded = False

    def load(self) -> None:
        """See `Store.load`."""
        with suppress(ImportError):  # told where it is needed, and not to a request that has had its answer
            from . import client_pool as client_pool
        load_script()
        self.is_loaded = True

    def apply(self, writer: Writer, batch: Batch) -> CommandFlow[Verdict]:
        """See `Store.apply`."""
        return apply(self._settings, writer, batch)

    def tidy(self, entry: IndexEntry, texts: Sequence[bytes]) -> CommandFlow[None]:
        """See `Store.tidy`."""
        from .tidy import tidy  # no request needs it

        return tidy(self._settings, entry, texts)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncClient]:
        """See `Store.client`."""
        await self._import()
        async with self._writer().client() as client:
            yield client

    @contextmanager
    def sync_client(self, *, reading: bool = False) -> Iterator[Client]:
        """See `Store.sync_client`; on request to the server that scrapes read from."""
        with (self._reader() if reading else self._writer()).sync_client() as client:
            yield client

    async def aclose(self) -> None:
        """Close the connections of this event loop and of threads that nobody uses."""
        for client_pool in self._pools():
            await client_pool.aclose()

    def forget_connections(self) -> None:
        """Leave the connections alone after a fork: they are the parent's."""
        for client_pool in self._pools():
            client_pool.forget_connections()

    async def ping(self) -> None:
        """See `Store.ping`."""
        async with self.client() as client:
            raise_refusal(await client.call(("PING",)))

    async def snapshot(self) -> Snapshot:
        """See `Store.snapshot`."""
        await self._import()
        # No request needs these.
        from .index import read_state
        from .shard_count import remember

        async with self._reader().client() as client:
            snapshot, count = await read_state(client, self._settings)
        if (command := remember(self._settings, count, snapshot.clock_ms(0))) is not None:
            # The page is as right without it. Where nothing is written to, it is the writers' page that remembers.
            with suppress(StoreError):
                async with self.client() as client:
                    await client.call(command)
        return snapshot

    async def scan(self, entries: Sequence[IndexEntry]) -> AsyncGenerator[tuple[IndexEntry, list[bytes] | None]]:
        """See `Store.scan`.

        The next trip is under way while the caller works on what this one brought.
        """
        waiting: deque[tuple[IndexEntry, bytes, Node]] = deque((entry, b"0", None) for entry in entries)
        await self._import()
        async with self._reader().client() as client:
            trip, requests = self._next_trip(waiting)
            goals = await client.send(requests)
            while trip:
                found = []
                for entry, (reply, node) in zip(trip, await client.receive(requests, goals), strict=True):
                    cursor, items = (b"0", None) if is_wrong_type(reply) else reply
                    if cursor != b"0":
                        waiting.append((entry, cursor, node))
                    found.append((entry, items))
                trip, requests = self._next_trip(waiting)
                goals = await client.send(requests)
                for entry, items in found:
                    yield entry, items

    def _next_trip(self, waiting: deque[tuple[IndexEntry, bytes, Node]]) -> tuple[list[IndexEntry], list[NodeRequest]]:
        from .node_request import NodeRequest

        taken = [waiting.popleft() for _ in range(min(len(waiting), _KEYS_PER_TRIP))]
        # Redis works off one client's pipeline in one go, so the chunk is shared by the keys of a trip.
        count = _CHUNK // max(1, len(taken))
        requests = [
            NodeRequest((("HSCAN", self._series_key(entry), cursor, "COUNT", count),), cursor_of=node)
            for entry, cursor, node in taken
        ]
        return [entry for entry, _, _ in taken], requests

    def _series_key(self, entry: IndexEntry) -> str:
        return Keys(self._settings.namespace, entry.shard).series(entry.schema)

    async def _import(self) -> None:
        if not self.is_loaded:  # it must not hold up other coroutines
            await asyncio.to_thread(self.load)

    def _pools(self) -> list[ClientPool]:
        return [client_pool for client_pool in dict.fromkeys((self._writing, self._reading)) if client_pool is not None]

    def _writer(self) -> ClientPool:
        if self._writing is None:
            from .client_pool import ClientPool

            if self._settings.redis_url is None:
                raise StoreUnavailable(
                    "REDIS_URL is not set (nor KV_URL, nor REDIS_TLS_URL): there is no store to reach"
                )
            self._writing = ClientPool(self._settings.redis_url, self._settings)
        return self._writing

    def _reader(self) -> ClientPool:
        if self._settings.read_url is None:
            return self._writer()
        if self._reading is None:
            from .client_pool import ClientPool

            self._reading = ClientPool(self._settings.read_url, self._settings, reading=True)
        return self._reading
