"""The recovery of a state that went back in time: how many of the batches that it lost are still missing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .batch import State

__all__ = ["RECOVERY_MS", "REMEMBERS_MS", "Recovery", "is_older"]

# The breaker of an instance pauses for 3 s at most, so by then every running instance has sent its batches again.
RECOVERY_MS = 10_000
# After this time instances have sent again, and pages have written back, whatever they still had.
REMEMBERS_MS = 60_000
_RECOVERY = re.compile(rb"([0-9]{1,15}) ([0-9A-Za-z-]+) ([0-9]{1,15}) ([0-9]{1,15}) (-?[0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Recovery:
    """How much of a loss has been recovered; `apply.lua` writes it into the families index.

    Example: a state had 112 batches, and its server restarts from a snapshot with 100 of them. A writer that knew of
    110 opens a recovery with its next batch: goal 110, held 100, missing 10. It sends 3 batches again: missing 7.
    Another writer knew of all 112 and sends 2 again: goal 112, missing 7 + 2 - 2 = 7. Batches that a writer cannot send
    again are given up and no longer missing. When the rest is restored from the last page, `missing` is below 0.

    Args:
        since_ms: when the script noticed the loss, in ms since 1970 by the server's clock.
        name: the name of the state before it went back.
        goal: how many batches it had, as far as any writer knew.
        held: how many of them were still there; 0 if the state was emptied, or replaced by another one.
        missing: how many of the others have not been sent again, given up or restored yet.
    """

    since_ms: int
    name: str
    goal: int
    held: int
    missing: int

    @classmethod
    def parse(cls, text: bytes) -> Recovery | None:
        """Read a recovery from the families index; None if it is damaged.

        Example:
            >>> Recovery.parse(b"1764000000000 blue-1763999999999 110 100 7").missing
            7
        """
        match = _RECOVERY.fullmatch(text)
        if match is None:
            return None
        since_ms, name, goal, held, missing = match.groups()
        return cls(int(since_ms), name.decode(), int(goal), int(held), int(missing))

    @property
    def account(self) -> str:
        """The recovery as text, without its time, which is another one on each node of a cluster.

        A batch that restores a loss names the account that it was computed from. The store applies it only while the
        account is still the same, so that two pages do not restore the same loss twice.
        """
        return f"{self.name} {self.goal} {self.held} {self.missing}"

    def is_open(self, now_ms: int) -> bool:
        """Whether some counters are lower than they were, and may still rise again soon."""
        # A time in the future is from another node's clock, or damaged; it must not keep the recovery open until then.
        return self.missing > 0 and abs(now_ms - self.since_ms) < RECOVERY_MS

    def may_have_brought(self, created_ms: int) -> bool:
        """Tell whether a series that is stored since then may be an older one, sent again or written back.

        Args:
            created_ms: when the store created it, in ms since 1970 by the same clock.
        """
        return self.since_ms <= created_ms <= self.since_ms + REMEMBERS_MS

    @staticmethod
    def went_back(before: Recovery | None, state: State, known: State) -> bool:
        """Tell whether a state went back in time from a known one; a state that was emptied did not, but began anew.

        Args:
            before: the recovery of the state, if there is one.
            state: the state now.
            known: an earlier state.
        """
        if not known.incarnation:
            return False
        if known.incarnation == state.incarnation:
            return known.batches > state.batches
        is_recorded = before is not None and before.held > 0 and before.covers(known)
        return is_recorded or is_older(state.incarnation, known.incarnation)

    def covers(self, known: State) -> bool:
        """Tell whether the recovery is about a known state: it went back, or had its name before that was noticed."""
        name = known.incarnation
        return self.name == name or is_older(name, self.name) or 0 < known.named_ms <= self.since_ms

    @staticmethod
    def name_after(writer: str, state: State, known: State, now_ms: int) -> str:
        """Return a new name for a state: younger than the names before, also if the clock is behind."""
        at_ms = max(now_ms, state.named_ms + 1, known.named_ms + 1)
        return f"{writer}-{at_ms:013}"


def is_older(name: str, other: str) -> bool:
    """Tell whether a state got its name before another one."""
    return 0 < State(name).named_ms < State(other).named_ms
