"""A lock for flushes: one at a time, for threads and event loops alike."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

__all__ = ["FlushLock"]


# A thread that waits looks at the lock after so many seconds: a holder whose event loop was closed releases nothing.
_LONGEST_WAIT_S = 0.05


class FlushLock:
    """A lock that never blocks unless it is asked to, and that another flush can have when its holder's lease is over.

    An event loop may be closed in the midst of a flush, or stopped and never run again, and then does not release it.

    Args:
        lease_s: seconds for which a holder has the lock.
        clock: a monotonic clock.

    Example:
        >>> lock = FlushLock(lease_s=1.0)
        >>> holder = lock.acquire()
        >>> lock.acquire() is None
        True
        >>> lock.release(holder)
        >>> lock.acquire() is None
        False
    """

    def __init__(self, lease_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease_s = lease_s
        self._clock = clock
        self._guard = threading.Lock()
        self._holder: object | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._expires_s = 0.0
        # Of each thread that waits, a lock that is released with this one.
        self._turns: list[threading.Lock] = []

    def acquire(self, loop: asyncio.AbstractEventLoop | None = None) -> object | None:
        """Acquire the lock if it is free, if its lease is over, or if the event loop that holds it is closed.

        Args:
            loop: the event loop that flushes; None for a thread.

        Returns:
            the holder, for `release`; None if another flush has the lock.
        """
        with self._guard:
            closed = self._loop is not None and self._loop.is_closed()
            if self._holder is not None and not closed and self._clock() < self._expires_s:
                return None
            self._holder, self._loop, self._expires_s = object(), loop, self._clock() + self._lease_s
            return self._holder

    def release(self, holder: object) -> None:
        """Release the lock, if this holder still has it."""
        with self._guard:
            if self._holder is not holder:
                return
            self._holder = None
            turns, self._turns = self._turns, []
        for turn in turns:
            turn.release()

    def wait(self, timeout_s: float) -> None:
        """Block this thread until the lock is released, or for a while.

        Args:
            timeout_s: at most so many seconds.
        """
        turn = threading.Lock()  # not made before: gevent may have replaced threads since
        with self._guard:
            if self._holder is None:
                return
            turn.acquire()
            self._turns.append(turn)
        turn.acquire(timeout=min(timeout_s, _LONGEST_WAIT_S))
