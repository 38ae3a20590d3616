"""Group commit: one flush at a time, and those who wait share the next one."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future

__all__ = ["Turnstile"]


class Turnstile:
    """Lets one flush in; whoever comes meanwhile waits for it, thread or event loop alike.

    Everybody asks for an epoch: the seal that takes their deltas. When the flush under way settles that
    epoch they need no turn of their own.

    Example:
        >>> turnstile = Turnstile()
        >>> turnstile.enter(1)
        >>> second, third = turnstile.enter(2), turnstile.enter(2)
        >>> turnstile.leave(1)
        >>> second.result(), third.done()
        (True, False)
        >>> turnstile.leave(2)
        >>> third.result()
        False
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._busy = False
        self._waiting: deque[tuple[int, Future[bool]]] = deque()

    def enter(self, epoch: int) -> Future[bool] | None:
        """Ask for a turn.

        Returns:
            None: it is yours now. Else a future that will say True for a turn, or False when the epoch
            was settled without one.
        """
        with self._guard:
            if not self._busy:
                self._busy = True
                return None
            turn: Future[bool] = Future()
            self._waiting.append((epoch, turn))
            return turn

    def leave(self, settled_epoch: int) -> None:
        """End a turn: release everyone whose epoch is settled, and let the first of the others in."""
        settled: list[Future[bool]] = []
        heir: Future[bool] | None = None
        with self._guard:
            others: deque[tuple[int, Future[bool]]] = deque()
            for epoch, turn in self._waiting:
                if epoch > settled_epoch and heir is not None:
                    others.append((epoch, turn))
                elif not turn.set_running_or_notify_cancel():
                    continue  # it has stopped waiting
                elif epoch <= settled_epoch:
                    settled.append(turn)
                else:
                    heir = turn
            self._waiting = others
            self._busy = heir is not None
        for turn in settled:
            turn.set_result(False)
        if heir is not None:
            heir.set_result(True)

    def give_up(self, turn: Future[bool], settled_epoch: int) -> None:
        """Stop waiting for a turn; one that arrived at this very moment is passed on."""
        if not turn.cancel() and turn.result():
            self.leave(settled_epoch)
