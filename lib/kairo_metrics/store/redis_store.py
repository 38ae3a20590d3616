"""The store in Redis: one server, or a cluster.

The redis package is imported when the first connection opens: it is the slowest import of a cold start.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..errors import StoreError, StoreUnavailable
from ..model.fork_locks import LOADING

if TYPE_CHECKING:
    from ..model.batch import Batch, Verdict, Writer
    from ..model.snapshot import IndexEntry, Snapshot
    from .command_flow import CommandFlow
    from .connections.client import AsyncClient, Client
    from .connections.client_pool import ClientPool
    from .family_sizes import FamilySizes

__all__ = ["RedisStore"]


class RedisStore:
    """The shared state in Redis, Valkey, or another server that speaks their protocol and runs Lua.

    Args:
        settings: the address, the namespace and the limits.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._write_pool: ClientPool | None = None
        self._read_pool: ClientPool | None = None
        self._apply: Callable[[Writer, Batch], CommandFlow[Verdict]] | None = None
        self._sizes: FamilySizes | None = None
        self.is_loaded = False

    def load(self) -> None:
        """See `Store.load`."""
        with LOADING:
            with suppress(ImportError):  # raised again by the first call that needs a connection
                from .connections import client_pool  # noqa: F401  imported before the first connection needs it
            from .apply_batch import load_script  # a cold start does not need it

            load_script()
            self.is_loaded = True

    def apply(self, writer: Writer, batch: Batch) -> CommandFlow[Verdict]:
        """See `Store.apply`."""
        if self._apply is None:
            from .apply_batch import Session, apply_batch  # see `load`

            self._apply = partial(apply_batch, self._settings, session=Session())
        return self._apply(writer, batch)

    def tidy(self, entry: IndexEntry, texts: Sequence[bytes]) -> CommandFlow[None]:
        """See `Store.tidy`."""
        from .tidy import tidy  # only scrapes need it

        return tidy(self._settings, entry, texts)

    def client(self) -> AsyncClient:
        """See `Store.client`."""
        return self._pool_for_writing().client()

    def sync_client(self, *, reading: bool = False) -> Client:
        """See `Store.sync_client`.

        Args:
            reading: whether to borrow a client of the server that scrapes read from.
        """
        return (self._pool_for_reading() if reading else self._pool_for_writing()).sync_client()

    async def aclose(self) -> None:
        """Close the idle connections of this event loop and of all threads."""
        for pool in self._pools():
            await pool.aclose()

    def forget_connections(self) -> None:
        """See `Store.forget_connections`."""
        for pool in self._pools():
            pool.forget_connections()

    async def ping(self) -> None:
        """See `Store.ping`."""
        from .replies import raise_refusal  # a flush needs it, and a cold start does not

        await self._import()
        async with self.client() as client:
            raise_refusal(await client.call(("PING",)))

    async def snapshot(self) -> Snapshot:
        """See `Store.snapshot`."""
        await self._import()
        pool = self._pool_for_reading()
        # Only scrapes need these.
        from .index import read_state
        from .shard_count import renew_shard_count

        async with pool.client() as client:
            snapshot, count = await read_state(client, self._settings)
        if (command := renew_shard_count(self._settings, count, snapshot.clock_ms(0))) is not None:
            # The page is correct without it. A page that may not write leaves it to the page of the writers.
            with suppress(StoreError):
                async with self.client() as client:
                    await client.call(command)
        return snapshot

    async def scan(self, entries: Sequence[IndexEntry]) -> AsyncGenerator[tuple[IndexEntry, list[bytes] | None]]:
        """See `Store.scan`."""
        await self._import()
        pool = self._pool_for_reading()
        # Only scrapes need these.
        from .family_sizes import FamilySizes
        from .series_scan import scan

        sizes = self._sizes = self._sizes or FamilySizes()
        namespace = self._settings.namespace
        async with pool.client() as client, aclosing(scan(client, namespace, entries, sizes)) as chunks:
            async for read in chunks:
                yield read

    async def _import(self) -> None:
        if not self.is_loaded:  # in a thread, so that other coroutines go on
            await asyncio.to_thread(self.load)

    def _pools(self) -> list[ClientPool]:
        return [pool for pool in (self._write_pool, self._read_pool) if pool is not None]

    def _pool_for_writing(self) -> ClientPool:
        if self._write_pool is None:
            if self._settings.redis_url is None:
                raise StoreUnavailable(
                    "REDIS_URL is not set (nor KV_URL, nor REDIS_TLS_URL): there is no store to reach"
                )
            self._write_pool = _client_pool()(self._settings.redis_url, self._settings)
        return self._write_pool

    def _pool_for_reading(self) -> ClientPool:
        if self._settings.read_url is None:
            return self._pool_for_writing()
        if self._read_pool is None:
            self._read_pool = _client_pool()(self._settings.read_url, self._settings, reading=True)
        return self._read_pool


def _client_pool() -> type[ClientPool]:
    """Return the class of the pools; it needs the package redis.

    Raises:
        StoreUnavailable: that package is missing, or too old.
    """
    try:
        from .connections.client_pool import ClientPool  # see `RedisStore.load`
    except ImportError as err:
        if (err.name or "").partition(".")[0] != "redis":
            raise
        raise StoreUnavailable(
            "the Python package redis, version 5 or newer, is not installed: add redis to your requirements"
        ) from err
    return ClientPool
