"""A state that went back in time, and what is still to come of what it lost."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .batch import State

__all__ = ["RECOVERY_MS", "Recovery", "is_older"]

# A breaker leaves a store alone for 3 s at most, so whoever is awake has sent its batches again by then.
RECOVERY_MS = 10_000
_ACCOUNT = re.compile(rb"([0-9]{1,15}) ([0-9A-Za-z-]+) ([0-9]{1,15}) ([0-9]{1,15}) (-?[0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Recovery:
    """How far a state has been made good; `apply.lua` keeps the same account.

    Args:
        since_ms: when somebody noticed, by the server's clock.
        name: of the state before it went back.
        goal: how many batches it had, as far as anybody has told.
        held: how many of them were still there; 0 where it was emptied, or another one stands in its place.
        missing: how many of them are neither there nor sent again nor given up.
    """

    since_ms: int
    name: str
    goal: int
    held: int
    missing: int

    @classmethod
    def parse(cls, text: bytes) -> Recovery | None:
        """Read what the script wrote; None where it is damaged.

        Example:
            >>> Recovery.parse(b"1764000000000 blue-1763999999999 110 100 7").missing
            7
        """
        found = _ACCOUNT.fullmatch(text)
        if found is None:
            return None
        since_ms, name, goal, held, missing = found.groups()
        return cls(int(since_ms), name.decode(), int(goal), int(held), int(missing))

    @property
    def account(self) -> str:
        """What the script wrote, without the time: nodes of a cluster have clocks of their own."""
        return f"{self.name} {self.goal} {self.held} {self.missing}"

    def is_open(self, now_ms: int) -> bool:
        """Whether a page would show some counters lower than they were, and they may still rise."""
        # A time to come is another node's clock, or damage that must not last until then.
        return self.missing > 0 and abs(now_ms - self.since_ms) < RECOVERY_MS

    @staticmethod
    def went_back(before: Recovery | None, state: State, known: State) -> bool:
        """Tell whether a state is what became of the known one, and holds less; one that was emptied began anew."""
        if not known.incarnation:
            return False
        if known.incarnation == state.incarnation:
            return known.batches > state.batches
        told_of = before is not None and before.held > 0 and before.tells_of(known)
        return told_of or is_older(state.incarnation, known.incarnation)

    def tells_of(self, known: State) -> bool:
        """Tell whether it is the account of what became of that state, or it had its name before that was noticed."""
        name = known.incarnation
        return self.name == name or is_older(name, self.name) or 0 < known.born_ms <= self.since_ms

    @staticmethod
    def name_after(writer: str, state: State, known: State, now_ms: int) -> str:
        """Return the name of a state that begins: younger than those before, also where the clock is behind."""
        born_ms = max(now_ms, state.born_ms + 1, known.born_ms + 1)
        return f"{writer}-{born_ms:013}"


def is_older(name: str, other: str) -> bool:
    """Tell whether a state had its name before another one."""
    return 0 < State(name).born_ms < State(other).born_ms
