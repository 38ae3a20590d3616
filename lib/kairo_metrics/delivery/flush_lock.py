"""Whose turn it is to flush: one at a time, whether it is a thread or an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

__all__ = ["FlushLock"]


class FlushLock:
    """A lock that nobody waits for inside an event loop, and that no holder can take to its grave.

    An event loop may be closed, or stopped and never run again, in the midst of a flush. So a turn is lent for a
    time; when that is over somebody else may have it.

    Args:
        lent_s: for how many seconds.
        clock: a monotonic clock.

    Example:
        >>> turn = FlushLock(lent_s=1.0)
        >>> mine = turn.take()
        >>> turn.take() is None
        True
        >>> turn.give_back(mine)
        >>> turn.take() is None
        False
    """

    def __init__(self, lent_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lent_s = lent_s
        self._clock = clock
        self._guard = threading.Lock()
        self._taken: object | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._until_s = 0.0

    def take(self, loop: asyncio.AbstractEventLoop | None = None) -> object | None:
        """Take the turn if it is free, overdue, or lent to an event loop that is closed.

        Args:
            loop: the event loop that it is for; None for a thread.

        Returns:
            what `give_back` asks for, or None: somebody else has it.
        """
        with self._guard:
            closed = self._loop is not None and self._loop.is_closed()
            if self._taken is not None and not closed and self._clock() < self._until_s:
                return None
            self._taken, self._loop, self._until_s = object(), loop, self._clock() + self._lent_s
            return self._taken

    def give_back(self, taken: object) -> None:
        """Free the turn, unless it has gone to somebody else meanwhile."""
        with self._guard:
            if self._taken is taken:
                self._taken = None
