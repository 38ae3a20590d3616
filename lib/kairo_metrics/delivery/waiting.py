"""What waits in one event loop: requests until what they have counted is sent, and the next attempt after a failure."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

__all__ = ["Waiting"]


class Waiting:
    """Wakes requests when their epoch is settled or their time is up.

    A flush may serve hundreds of requests. So each of them has one future, and all of them share one timer.

    Args:
        loop: the event loop.

    Attributes:
        time: the clock of the loop, in seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.time = loop.time
        # Of each that waits: the epoch, and the time of the loop at which it gives up, in seconds.
        self._waiting: dict[asyncio.Future[None], tuple[int, float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next_attempt: asyncio.TimerHandle | None = None

    @property
    def epoch(self) -> int | None:
        """The last epoch that is waited for; None if nothing waits."""
        return max((epoch for epoch, _ in self._waiting.values()), default=None)

    def until(self, epoch: int, deadline_s: float) -> asyncio.Future[None]:
        """Return what is done when the epoch is settled, when nothing settles it for now, or at the deadline.

        Args:
            epoch: see `Recorder.open_epoch`.
            deadline_s: a time of the event loop.
        """
        woken = self._loop.create_future()
        self._waiting[woken] = epoch, deadline_s
        if self._timer is None:
            self._timer = self._loop.call_at(deadline_s, self._on_timer)
        return woken

    def wake(self, settled_epoch: float = math.inf) -> None:
        """Wake those whose epoch is settled.

        Args:
            settled_epoch: the last one; by default all are woken.
        """
        for woken, (epoch, _) in list(self._waiting.items()):
            if epoch <= settled_epoch:
                self._wake(woken)

    def try_again(self, pause_s: float, retry: Callable[[], None]) -> None:
        """Call `retry` after the pause, in seconds; nothing if that is arranged already."""
        if self._next_attempt is None:
            self._next_attempt = self._loop.call_later(pause_s, self._on_next_attempt, retry)

    def _on_next_attempt(self, retry: Callable[[], None]) -> None:
        self._next_attempt = None
        retry()

    def _on_timer(self) -> None:
        self._timer, now_s = None, self._loop.time()
        for woken, (_, deadline_s) in list(self._waiting.items()):
            if deadline_s <= now_s:
                self._wake(woken)
        if self._waiting:
            self._timer = self._loop.call_at(
                min(deadline_s for _, deadline_s in self._waiting.values()), self._on_timer
            )

    def _wake(self, woken: asyncio.Future[None]) -> None:
        self._waiting.pop(woken)
        if not woken.done():  # it may have been cancelled
            woken.set_result(None)
