"""Batches, and the verdicts of the store on them.

They are named tuples and plain classes: making a frozen dataclass takes 0.5 ms of every cold start.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from .moment import Moment
from .schema import Schema

__all__ = [
    "UNNAMED",
    "WRITER_LEASE_S",
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

# How long the store keeps the last sequence number of a writer that sends nothing.
WRITER_LEASE_S = 3600

# A time has at most 13; Lua cannot hold a whole number of more than 15 exactly.
_MAX_DIGITS = 15


class Writer(NamedTuple):
    """The identity of an instance in the store: a random id, and the shard that it writes to."""

    id: str
    shard: int


class FamilyDelta(NamedTuple):
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


class State(NamedTuple):
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


UNNAMED = State()


class Batch(NamedTuple):
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
    known: State = UNNAMED
    replaces: int = 0
    restores: str | None = None


class _Verdict:
    """Equal to a verdict of the same kind that says the same of the batch; the state after it may be another."""

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._parts("state") == other._parts("state")

    def __hash__(self) -> int:
        return hash((type(self), *self._parts("state").values()))

    def __repr__(self) -> str:
        parts = [f"{name}={part!r}" for name, part in self._parts().items()]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _parts(self, *without: str) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__match_args__ if name not in without}


class Applied(_Verdict):
    """The batch was applied now.

    Args:
        state: the state after it.
        overflowed: the positions of families in the batch that had no room for a label set.
    """

    __slots__ = ("overflowed", "state")
    __match_args__ = ("state", "overflowed")

    def __init__(self, state: State = UNNAMED, overflowed: tuple[int, ...] = ()) -> None:
        self.state: Final = state
        self.overflowed: Final = overflowed


class Duplicate(_Verdict):
    """The batch had been applied before; nothing was written."""

    __slots__ = __match_args__ = ("state",)

    def __init__(self, state: State = UNNAMED) -> None:
        self.state: Final = state


class Gap(_Verdict):
    """The store expects an earlier batch: it has lost batches that it had acknowledged, or the writer's record.

    Args:
        expected: the sequence number of that batch.
        state: the state of the shard.
    """

    __slots__ = __match_args__ = ("expected", "state")

    def __init__(self, expected: int, state: State = UNNAMED) -> None:
        self.expected: Final = expected
        self.state: Final = state


class _Positions(_Verdict):
    __slots__ = __match_args__ = ("positions",)

    def __init__(self, positions: tuple[int, ...]) -> None:
        self.positions: Final = positions


class Unannounced(_Positions):
    """The store does not know the families at these positions in the batch; nothing was written."""

    __slots__ = ()


class Refused(_Positions):
    """The families at these positions in the batch have a foreign key or a bad delta; nothing was written."""

    __slots__ = ()


Verdict = Applied | Duplicate | Gap | Unannounced | Refused
