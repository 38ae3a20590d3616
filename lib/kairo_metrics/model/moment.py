"""A moment by both clocks of an instance, and how long ago it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["CLOCKS", "Clocks", "Moment", "elapsed_s"]

# A monotonic clock and a wall clock, both in seconds.
Clocks = tuple[Callable[[], float], Callable[[], float]]
CLOCKS: Clocks = time.monotonic, time.time


# A tuple and not a dataclass: where each increment counts, a plain tuple is stored in its place.
class Moment(NamedTuple):
    """A time by both clocks of one instance.

    While a platform has an instance frozen, its monotonic clock may stand still, and its wall clock goes on.

    Args:
        monotonic_s: the monotonic clock, in seconds.
        wall_s: the wall clock, in seconds.

    Example:
        >>> elapsed_s(Moment(5.0, 1_000.0), Moment(5.0, 1_060.0))
        60.0
    """

    monotonic_s: float
    wall_s: float

    @classmethod
    def read(cls, clocks: Clocks = CLOCKS) -> Moment:
        """Return the present moment."""
        monotonic_s, wall_s = clocks
        return cls(monotonic_s(), wall_s())


def elapsed_s(since: tuple[float, float], now: tuple[float, float]) -> float:
    """Return the seconds from `since` to `now`: the longer of what the two clocks show, and never less than zero.

    A wall clock that was set back shows less than the monotonic clock, so it changes nothing. One that was set forward
    can't be told from a freeze: what was recorded before counts as older than it is, so an older setting of a gauge may
    stay until it is set again.

    Args:
        since: a moment of an instance.
        now: a later moment of the same instance.
    """
    return max(0.0, now[0] - since[0], now[1] - since[1])
