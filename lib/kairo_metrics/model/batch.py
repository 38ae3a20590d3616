"""Batches, and the store's verdict on each."""

from __future__ import annotations

from dataclasses import dataclass, field

from .moment import Moment
from .schema import Schema

__all__ = [
    "Applied",
    "Batch",
    "Duplicate",
    "FamilyDelta",
    "Gap",
    "Refused",
    "State",
    "Unannounced",
    "Verdict",
    "Writer",
]

# No clock has more, and what has would be no whole number to the script.
_MOST_DIGITS = 15


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

    @property
    def born_ms(self) -> int:
        """When it got its name, by the server's clock; 0 where the time is not in it."""
        _, dash, text = self.incarnation.rpartition("-")
        return int(text) if dash and text.isdecimal() and text.isascii() and len(text) <= _MOST_DIGITS else 0


@dataclass(frozen=True, slots=True)
class Batch:
    """A sealed set of deltas, applied as a whole or not at all.

    Args:
        seq: 1, 2, 3, ... per writer, without gaps.
        families: the deltas.
        sealed_at: when it was sealed, by the clocks of the instance that sealed it.
        known: the state that its writer heard of last.
        makes_good: how many of the batches that the store lost it stands for: none if it is new, itself if it is sent
            again, and those with it that can't be.
        restores: where it holds what the known state had and nobody sends again: the account of the recovery of which
            it was made, empty if there was none. It is no news for a store that did not go back from there, or has
            got some of it since.
    """

    seq: int
    families: tuple[FamilyDelta, ...]
    sealed_at: Moment
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
