"""A circuit breaker: after a failure the store is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Breaker"]

_FIRST_PAUSE_S = 0.25
# With the default budget, which the attempt that fails last may still take, a store is found again within 5 s.
_LONGEST_PAUSE_S = 3.0


class Breaker:
    """Closed while the store answers; open for 0.25 s after a failure, doubling up to 3 s.

    When the pause is over one attempt is let through; its outcome closes the breaker or opens it for longer.

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
        """Open, or stay open for longer; return whether it had been closed."""
        first = self._next_pause_s == _FIRST_PAUSE_S
        self._open_until_s = self._clock() + self._next_pause_s
        self._next_pause_s = min(2 * self._next_pause_s, _LONGEST_PAUSE_S)
        return first

    def succeed(self) -> None:
        """Close."""
        self._next_pause_s = _FIRST_PAUSE_S
        self._open_until_s = 0.0
