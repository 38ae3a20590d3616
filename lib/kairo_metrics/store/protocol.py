"""What every store can do. Only type checkers import this module."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol

from ..model.batch import Batch, Verdict, Writer
from ..model.snapshot import IndexEntry, Snapshot
from .command_flow import AsyncTransport, CommandFlow, SyncTransport

__all__ = ["Store"]


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

    def apply(self, writer: Writer, batch: Batch) -> CommandFlow[Verdict]:
        """Apply a batch exactly once, in the order of its writer's numbers."""

    def client(self) -> AbstractAsyncContextManager[AsyncTransport]:
        """Borrow a connection of the running event loop."""

    def sync_client(self) -> AbstractContextManager[SyncTransport]:
        """Borrow a connection for this thread."""

    async def ping(self) -> None:
        """Return when the store answers.

        Raises:
            StoreError: it does not.
        """

    async def snapshot(self) -> Snapshot:
        """Read the families index of all shards."""

    def scan(self, entries: Sequence[IndexEntry]) -> AsyncGenerator[tuple[IndexEntry, list[bytes] | None]]:
        """Read the series of the entries, a chunk at a time.

        Yields:
            the entry with [label text, packed line, label text, packed line, ...], or with None where
            its key holds something foreign. One series may come twice.
        """

    def tidy(self, entry: IndexEntry, texts: Sequence[bytes]) -> CommandFlow[None]:
        """Remove series that nobody touched for their life, and bring together what is kept of ended instances.

        A family without series that was not announced for so long leaves the index.

        Args:
            entry: a family.
            texts: the label texts of lines that seemed to be of no more use; the store looks again.
        """
