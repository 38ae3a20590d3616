"""Batches, and the verdicts of the store on them."""

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

# A time has at most 13; Lua cannot hold a whole number of more than 15 exactly.
_MAX_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Writer:
    """The identity of an instance in the store: a random id, and the shard that it writes to."""

    id: str
    shard: int


@dataclass(frozen=True, slots=True)
class FamilyDelta:
    """What one batch adds to one family.

    Args:
        schema: the family.
        series: (label text, delta) pairs; `apply.lua` defines the form of a delta.
        weight: how many increments, observations or settings it holds, and would be lost with it.
        metadata: the schema as JSON, which announces the family; empty once the store has it.
        cleared: label pairs, one in each line; all series that have these labels are removed first, "" removes all.
    """

    schema: Schema
    series: tuple[tuple[str, str], ...]
    weight: float
    metadata: str = ""
    cleared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """The state of a shard, by name and age.

    Args:
        incarnation: its name; empty if it has none yet. It gets a new one when it was emptied, or went back in time.
        batches: how many batches it has applied. If there are fewer than before, it went back in time.
    """

    incarnation: str = ""
    batches: int = 0

    @property
    def named_ms(self) -> int:
        """When it got its name, in ms since 1970 by the server's clock; 0 if the name has no time in it."""
        _, dash, text = self.incarnation.rpartition("-")
        return int(text) if dash and text.isdecimal() and text.isascii() and len(text) <= _MAX_DIGITS else 0


@dataclass(frozen=True, slots=True)
class Batch:
    """A sealed set of deltas, applied as a whole or not at all.

    Args:
        seq: 1, 2, 3, ... per writer, without gaps.
        families: the deltas.
        sealed_at: when it was sealed, by the clocks of the instance that sealed it.
        known: the state in the last verdict that its writer received.
        replaces: how many lost batches it replaces: 0 if it is new, 1 if it is sent again, and more if others that the
            store has lost cannot be sent again.
        restores: None, or the account of the recovery that it was computed from, empty if there was none. It then holds
            what the known state had and no instance sends again. The store takes it for a duplicate if it has lost
            nothing of the known state, or if some of that has been sent again or restored in the meantime.
    """

    seq: int
    families: tuple[FamilyDelta, ...]
    sealed_at: Moment
    known: State = State()
    replaces: int = 0
    restores: str | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """The batch was applied now.

    Args:
        state: the state after it.
        overflowed: the positions of families in the batch that had no room for a label set.
    """

    state: State = field(default=State(), compare=False)
    overflowed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The batch had been applied before; nothing was written."""

    state: State = field(default=State(), compare=False)


@dataclass(frozen=True, slots=True)
class Gap:
    """The store expects an earlier batch: it has lost batches that it had acknowledged, or the writer's record.

    Args:
        expected: the sequence number of that batch.
    """

    expected: int
    state: State = field(default=State(), compare=False)


@dataclass(frozen=True, slots=True)
class Unannounced:
    """The store does not know the families at these positions in the batch; nothing was written."""

    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The families at these positions in the batch have a foreign key or a bad delta; nothing was written."""

    positions: tuple[int, ...]


Verdict = Applied | Duplicate | Gap | Unannounced | Refused
