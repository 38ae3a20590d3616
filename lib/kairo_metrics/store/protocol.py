"""What every store can do. Nobody needs it to run: it is for those who check types."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol

from .base import Batch, Command, Steps, Verdict, Writer
from .snapshot import IndexEntry, Snapshot

__all__ = ["AsyncLink", "Store", "SyncLink"]


class AsyncLink(Protocol):
    """One connection in use by one task."""

    async def call(self, *commands: Command) -> list[Any]:
        """Send the commands in one trip; a refused one's reply is a `StoreRefused`, not raised."""


class SyncLink(Protocol):
    """One connection in use by one thread."""

    def call(self, *commands: Command) -> list[Any]:
        """Send the commands in one trip; a refused one's reply is a `StoreRefused`, not raised."""


class Store(Protocol):
    """The shared state. `memory` and `redis` pass the same tests.

    Attributes:
        is_loaded: whether `load` has nothing to do any more.
    """

    is_loaded: bool

    def load(self) -> None:
        """Import what the first connection needs: an instance pays for that once, outside of any time limit.

        It may take a quarter of a second; in an event loop it is called in a thread.
        """

    def apply(self, writer: Writer, batch: Batch) -> Steps[Verdict]:
        """Apply a batch exactly once, in the order of its writer's numbers."""

    def link(self) -> AbstractAsyncContextManager[AsyncLink]:
        """Borrow a connection of the running event loop."""

    def sync_link(self) -> AbstractContextManager[SyncLink]:
        """Borrow a connection for this thread."""

    async def ping(self) -> None:
        """Return when the store answers.

        Raises:
            StoreError: it does not.
        """

    async def snapshot(self) -> Snapshot:
        """Read the families index of all shards."""

    def scan(self, entries: Sequence[IndexEntry]) -> AsyncIterator[tuple[IndexEntry, list[bytes] | None]]:
        """Read the series of the entries, a chunk at a time.

        Yields:
            the entry with [label text, packed line, label text, packed line, ...], or with None where
            its key holds something foreign. One series may come twice.
        """

    def tidy(self, entry: IndexEntry, texts: Sequence[bytes]) -> Steps[None]:
        """Remove series that nobody touched for their life, and bring together what is kept of ended instances.

        A family without series that was not announced for so long leaves the index.

        Args:
            entry: a family.
            texts: the label texts of lines that seemed to be of no more use; the store looks again.
        """
