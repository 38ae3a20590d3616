"""The interface of every store. Only type checkers import this module."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol

from ..model.batch import Batch, Verdict, Writer
from ..model.snapshot import IndexEntry, Snapshot
from .command_flow import CommandFlow
from .transports import AsyncTransport, SyncTransport

__all__ = ["Store"]


class Store(Protocol):
    """The shared state; the store in Redis and the store in memory pass the same tests.

    Attributes:
        is_loaded: whether `load` has been called.
    """

    is_loaded: bool

    def load(self) -> None:
        """Import what the first connection needs, outside of any time limit.

        It may take a quarter of a second, once in each instance; an event loop calls it in a thread.
        """

    def apply(self, writer: Writer, batch: Batch) -> CommandFlow[Verdict]:
        """Apply a batch exactly once, in the order of its writer's sequence numbers."""

    def client(self) -> AbstractAsyncContextManager[AsyncTransport]:
        """Borrow a client of the running event loop."""

    def sync_client(self) -> AbstractContextManager[SyncTransport]:
        """Borrow a client for this thread."""

    def forget_connections(self) -> None:
        """Stop using the connections after a fork: they belong to the parent."""

    async def ping(self) -> None:
        """Check that the store answers.

        Raises:
            StoreError: it does not.
        """

    async def snapshot(self) -> Snapshot:
        """Read the families index of all shards."""

    def scan(self, entries: Sequence[IndexEntry]) -> AsyncGenerator[tuple[IndexEntry, list[bytes] | None]]:
        """Read the series of the entries in chunks.

        Yields:
            an entry with [label text, packed line, label text, packed line, ...], or with None if its key holds
            another type. The same series may be returned twice.
        """

    def tidy(self, entry: IndexEntry, texts: Sequence[bytes]) -> CommandFlow[None]:
        """Remove series that have expired, and merge the values that are kept of ended instances.

        A family without series leaves the index if it has not been announced for the life of a series.

        Args:
            entry: the family.
            texts: the label texts of lines that seemed to have expired; the store checks each one again.
        """
