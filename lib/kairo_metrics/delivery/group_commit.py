"""Group commit: of the calls that share a flush, one waits for it.

A platform may freeze an instance when its last call has ended. So one call that waits is enough. The others end with
their response: what hundreds of them would hold meanwhile is free, and their threads serve the next requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["GroupCommit", "Leader"]

# The share of its budget for which others rely on a call that waits: what they have counted needs time, too.
_SHARE_FOR_OTHERS = 0.5
# If so many shared the flush before, a thread that waits pauses for so many seconds, and so much of its budget at most.
_MANY, _PAUSE_S, _SHARE_OF_PAUSE = 8, 0.02, 0.05


# A call that waits for others as well: until everything recorded by the end of this epoch is sent (see
# `Recorder.open_epoch`), and the monotonic time, in seconds, from which on no other call relies on it.
Leader = tuple[int, float]
_NOBODY: Leader = (-1, 0.0)


class GroupCommit:
    """Knows the call that waits for the newest epoch. Of two that come at once, both may wait: no lock is needed.

    A call whose event loop is closed never leaves. So others rely on one for a limited time.

    Args:
        budget_s: seconds that a call waits at most.
        clock: a monotonic clock.

    Attributes:
        pause_s: seconds for which a thread that waits lets others join: none, unless many have joined the one before.

    Example:
        >>> commit = GroupCommit(budget_s=1.0)
        >>> leader = commit.lead(7)
        >>> commit.join(7), commit.join(8)
        (True, False)
        >>> commit.leave(leader)
        >>> commit.join(7)
        False
    """

    def __init__(self, budget_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.pause_s = 0.0
        self._longest_pause_s = min(_PAUSE_S, budget_s * _SHARE_OF_PAUSE)
        self._joined = 0
        self._relied_on_s = budget_s * _SHARE_FOR_OTHERS
        self._clock = clock
        self._newest = _NOBODY

    def join(self, epoch: int) -> bool:
        """Rely on the call that waits until this epoch is sent, and has time left; False if there is none."""
        led_epoch, until_s = self._newest
        if led_epoch < epoch or self._clock() >= until_s:
            return False
        self._joined += 1
        return True

    def lead(self, epoch: int) -> Leader:
        """Let others rely on this call until it leaves."""
        led_epoch, _ = self._newest
        if led_epoch < epoch:  # of two that lead the same epoch, the second pauses like the first
            self.pause_s = self._longest_pause_s if self._joined >= _MANY else 0.0
            self._joined = 0
        self._newest = leader = epoch, self._clock() + self._relied_on_s
        return leader

    def leave(self, leader: Leader | None) -> None:
        """Let no further call rely on this one; nothing if none could."""
        if self._newest is leader:
            self._newest = _NOBODY
