"""How many series each family had when it was read last: the small ones can be read at once."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["MOST_AT_ONCE", "USUAL_BYTES", "FamilySizes"]

# Redis is busy with so many series for less than a millisecond, if each has no more than the usual bytes.
MOST_AT_ONCE, USUAL_BYTES = 5_120, 100
# A family that was small this long ago has hardly become huge. If it has, Redis is busy with it for longer once.
_VALID_S = 300
# Families come and go with deployments; at this many, all sizes are forgotten, and the next page finds them again.
_MOST_KNOWN = 10_000


class FamilySizes:
    """Remembers the sizes of families that were small enough to be read at once, in series of the usual bytes.

    Args:
        wall_s: the wall clock, in seconds, which goes on while an instance is frozen.

    Example:
        >>> sizes = FamilySizes()
        >>> sizes.remember("series:jobs", 3)
        >>> sizes.of("series:jobs"), sizes.of("series:mails")
        (3, None)
    """

    def __init__(self, wall_s: Callable[[], float] = time.time) -> None:
        self._wall_s = wall_s
        self._known: dict[str, tuple[int, float]] = {}

    def of(self, key: str) -> int | None:
        """Return the size that the family under this key had lately; None if it is large or not known."""
        size, at_s = self._known.get(key, (None, 0.0))
        return size if 0 <= self._wall_s() - at_s <= _VALID_S else None

    def remember(self, key: str, size: int) -> None:
        """Remember the size of a family that was read in whole."""
        self._known.pop(key, None)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        if size <= MOST_AT_ONCE:
            self._known[key] = size, self._wall_s()
