"""The store in Redis, or whatever speaks its protocol and runs Lua: one server, or a cluster.

What it needs of redis is imported when the first connection is made: it is the dearest import of a cold start.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

from ..config import Settings
from ..errors import StoreError, StoreUnavailable
from .base import Batch, Steps, Verdict, Writer
from .conversation import is_foreign, raise_refusal
from .keys import Keys
from .script import apply, load_script

if TYPE_CHECKING:
    from .links import AsyncLink, Link
    from .pool import Pool
    from .question import Node, Question
    from .snapshot import IndexEntry, Snapshot

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
        self._writing: Pool | None = None
        self._reading: Pool | None = None
        self.is_loaded = False

    def load(self) -> None:
        """See `Store.load`."""
        with suppress(ImportError):  # told where it is needed, and not to a request that has had its answer
            from . import pool  # noqa: F401
        load_script()
        self.is_loaded = True

    def apply(self, writer: Writer, batch: Batch) -> Steps[Verdict]:
        """See `Store.apply`."""
        return apply(self._settings, writer, batch)

    def tidy(self, entry: IndexEntry, texts: Sequence[bytes]) -> Steps[None]:
        """See `Store.tidy`."""
        from .tidy import tidy  # no request needs it

        return tidy(self._settings, entry, texts)

    @asynccontextmanager
    async def link(self) -> AsyncIterator[AsyncLink]:
        """See `Store.link`."""
        await self._import()
        async with self._writer().link() as link:
            yield link

    @contextmanager
    def sync_link(self, *, reading: bool = False) -> Iterator[Link]:
        """See `Store.sync_link`; on request to the server that scrapes read from."""
        with (self._reader() if reading else self._writer()).sync_link() as link:
            yield link

    async def aclose(self) -> None:
        """Close the connections of this event loop and of threads that nobody uses."""
        for pool in self._pools():
            await pool.aclose()

    def forget_connections(self) -> None:
        """Leave the connections alone after a fork: they are the parent's."""
        for pool in self._pools():
            pool.forget_connections()

    async def ping(self) -> None:
        """See `Store.ping`."""
        async with self.link() as link:
            raise_refusal(await link.call(("PING",)))

    async def snapshot(self) -> Snapshot:
        """See `Store.snapshot`."""
        await self._import()
        # No request needs these.
        from .reading import read_state
        from .shard_count import remember

        async with self._reader().link() as link:
            snapshot, count = await read_state(link, self._settings)
        if (command := remember(self._settings, count, snapshot.clock_ms(0))) is not None:
            # The page is as right without it. Where nothing is written to, it is the writers' page that remembers.
            with suppress(StoreError):
                async with self.link() as link:
                    await link.call(command)
        return snapshot

    async def scan(self, entries: Sequence[IndexEntry]) -> AsyncIterator[tuple[IndexEntry, list[bytes] | None]]:
        """See `Store.scan`.

        The next trip is under way while the caller works on what this one brought.
        """
        waiting: deque[tuple[IndexEntry, bytes, Node]] = deque((entry, b"0", None) for entry in entries)
        await self._import()
        async with self._reader().link() as link:
            trip, questions = self._next_trip(waiting)
            goals = await link.send(questions)
            while trip:
                found = []
                for entry, (reply, node) in zip(trip, await link.receive(questions, goals), strict=True):
                    cursor, items = (b"0", None) if is_foreign(reply) else reply
                    if cursor != b"0":
                        waiting.append((entry, cursor, node))
                    found.append((entry, items))
                trip, questions = self._next_trip(waiting)
                goals = await link.send(questions)
                for entry, items in found:
                    yield entry, items

    def _next_trip(self, waiting: deque[tuple[IndexEntry, bytes, Node]]) -> tuple[list[IndexEntry], list[Question]]:
        from .question import Question

        taken = [waiting.popleft() for _ in range(min(len(waiting), _KEYS_PER_TRIP))]
        # Redis works off one client's pipeline in one go, so the chunk is shared by the keys of a trip.
        count = _CHUNK // max(1, len(taken))
        questions = [
            Question((("HSCAN", self._series_key(entry), cursor, "COUNT", count),), cursor_of=node)
            for entry, cursor, node in taken
        ]
        return [entry for entry, _, _ in taken], questions

    def _series_key(self, entry: IndexEntry) -> str:
        return Keys(self._settings.namespace, entry.shard).series(entry.schema)

    async def _import(self) -> None:
        if not self.is_loaded:  # it must not hold up other coroutines
            await asyncio.to_thread(self.load)

    def _pools(self) -> list[Pool]:
        return [pool for pool in dict.fromkeys((self._writing, self._reading)) if pool is not None]

    def _writer(self) -> Pool:
        if self._writing is None:
            from .pool import Pool

            if self._settings.redis_url is None:
                raise StoreUnavailable(
                    "REDIS_URL is not set (nor KV_URL, nor REDIS_TLS_URL): there is no store to reach"
                )
            self._writing = Pool(self._settings.redis_url, self._settings)
        return self._writing

    def _reader(self) -> Pool:
        if self._settings.read_url is None:
            return self._writer()
        if self._reading is None:
            from .pool import Pool

            self._reading = Pool(self._settings.read_url, self._settings, reading=True)
        return self._reading
