"""Whose turn it is to flush: one at a time, whether it is a thread or an event loop."""

from __future__ import annotations

import asyncio
import threading

__all__ = ["Turn"]


class Turn:
    """A lock that nobody waits for inside an event loop, and that an event loop can't take to its grave.

    Example:
        >>> turn = Turn()
        >>> mine = turn.take()
        >>> turn.take() is None
        True
        >>> turn.give_back(mine)
        >>> turn.take() is None
        False
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken: object | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def take(self, loop: asyncio.AbstractEventLoop | None = None) -> object | None:
        """Take the turn if it is free, or held by an event loop that was closed in the midst of it.

        Args:
            loop: the event loop that will hold it; None for a thread.

        Returns:
            what `give_back` asks for, or None: somebody else has it.
        """
        with self._guard:
            if self._taken is not None and not (self._loop is not None and self._loop.is_closed()):
                return None
            self._taken, self._loop = object(), loop
            return self._taken

    def give_back(self, taken: object) -> None:
        """Free the turn, unless it has gone to somebody else meanwhile."""
        with self._guard:
            if self._taken is taken:
                self._taken = None
