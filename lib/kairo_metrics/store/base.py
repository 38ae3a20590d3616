"""What every store can do, and the data that passes through it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .schema import Schema

if TYPE_CHECKING:
    from .snapshot import IndexEntry, Snapshot

__all__ = [
    "Applied",
    "AsyncLink",
    "Batch",
    "Command",
    "Duplicate",
    "FamilyDelta",
    "Gap",
    "Refused",
    "State",
    "Steps",
    "Store",
    "SyncLink",
    "Unannounced",
    "Verdict",
    "Writer",
]

T = TypeVar("T")
Command = tuple[str | bytes | int, ...]
# A conversation with the server that does no input or output of its own: it yields a command, is sent
# the reply (or is thrown the StoreError), and returns its result. Sync and async callers drive the same one.
Steps = Generator[Command, Any, T]


@dataclass(frozen=True, slots=True)
class Writer:
    """One instance's identity towards the store: a random id, and the shard that it writes to."""

    id: str
    shard: int


@dataclass(frozen=True, slots=True)
class FamilyDelta:
    """What one batch adds to one family.

    Args:
        schema: the family.
        series: (label text, delta) pairs; the delta's form is that of `apply.lua`.
        weight: increments, observations or settings in it: what is lost if it can't be delivered.
        metadata: the schema's announcement, or the empty string once the store has it.
        cleared: label pairs, one a line; all series that have them are removed first, with "" all there are.
    """

    schema: Schema
    series: tuple[tuple[str, str], ...]
    weight: float
    metadata: str = ""
    cleared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """Which state of the store has answered.

    Args:
        incarnation: its name; a store that was emptied gets another one. Empty where it has none yet.
        batches: how many it has taken; fewer than before, and it went back in time.
    """

    incarnation: str = ""
    batches: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """A sealed set of deltas, applied as a whole or not at all.

    Args:
        seq: 1, 2, 3, ... per writer, without gaps.
        families: the deltas.
        sealed_at_s: the sealing instance's monotonic clock.
        known: the state that its writer heard of last.
        makes_good: how many of the batches that the store lost it stands for: none if it is new, itself if it is sent
            again, and those with it that can't be.
        restores: where it holds what the known state had and nobody sends again: the account of the recovery of which
            it was made, empty if there was none. It is no news for a store that did not go back from there, or has
            got some of it since.
    """

    seq: int
    families: tuple[FamilyDelta, ...]
    sealed_at_s: float
    known: State = State()
    makes_good: int = 0
    restores: str | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """The batch was applied now.

    Args:
        state: which one took it.
        overflowed: the families of the batch (by position) in which label sets found no room.
    """

    state: State = field(default=State(), compare=False)
    overflowed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The batch had been applied before; nothing was written."""

    state: State = field(default=State(), compare=False)


@dataclass(frozen=True, slots=True)
class Gap:
    """The store expects an earlier batch: it has lost some that it had acknowledged, or our record.

    Args:
        expected: the number of that batch.
    """

    expected: int
    state: State = field(default=State(), compare=False)


@dataclass(frozen=True, slots=True)
class Unannounced:
    """The store does not know these families of the batch (by position); nothing was written."""

    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The keys of these families of the batch (by position) hold something foreign; nothing was written."""

    positions: tuple[int, ...]


Verdict = Applied | Duplicate | Gap | Unannounced | Refused


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
