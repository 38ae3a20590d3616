"""A circuit breaker: after a failure no flush tries the store for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Breaker"]

_FIRST_PAUSE_S = 0.25
# The last attempt to fail may take a whole budget. With the default one, a store that is back is used within 5 s.
_LONGEST_PAUSE_S = 3.0


class Breaker:
    """Closed while the store answers; open for 0.25 s after a failure, doubled with each further one up to 3 s.

    After the pause an attempt is allowed. It closes the breaker, or opens it for longer.

    Args:
        clock: a monotonic clock.

    Example:
        >>> breaker = Breaker(clock=lambda: 100.0)
        >>> breaker.fail()
        True
        >>> breaker.pause_s()
        0.25
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_pause_s = _FIRST_PAUSE_S
        self._open_until_s = 0.0

    def pause_s(self) -> float:
        """Return the seconds until the next attempt is allowed; zero while closed."""
        return max(0.0, self._open_until_s - self._clock())

    def fail(self) -> bool:
        """Open the breaker for longer than the last time; return whether this is the first failure in a row."""
        first = self._next_pause_s == _FIRST_PAUSE_S
        self._open_until_s = self._clock() + self._next_pause_s
        self._next_pause_s = min(2 * self._next_pause_s, _LONGEST_PAUSE_S)
        return first

    def succeed(self) -> None:
        """Close the breaker."""
        self._next_pause_s = _FIRST_PAUSE_S
        self._open_until_s = 0.0
