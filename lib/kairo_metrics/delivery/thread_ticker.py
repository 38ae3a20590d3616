"""Flushing every few seconds while threads serve something: a stream may run for minutes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

__all__ = ["ThreadTicker"]


class ThreadTicker(AbstractContextManager[None]):
    """Calls `tick` in a thread of its own every few seconds while other threads serve something, or while it is needed.

    They serve something while a block of it runs.

    Args:
        interval_s: seconds between two calls.
        tick: flushes.
        is_needed: whether to go on though nothing is being served: what could not be sent is tried again.
        sleep: waits for so many seconds; by default `time.sleep`.
    """

    def __init__(
        self,
        interval_s: float,
        tick: Callable[[], None],
        is_needed: Callable[[], bool],
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._interval_s = interval_s
        self._tick = tick
        self._is_needed = is_needed
        self._sleep = sleep
        self._lock = threading.Lock()
        # One entry for each block that runs. Threads add and take entries in one step, so requests need no lock.
        self._active: list[None] = []
        self._runs = False
        self._is_stopped = False

    def begin(self) -> None:
        """Tick until `end` is called as often as this."""
        self._active.append(None)
        if not self._runs:
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._runs or self._is_stopped:
                return
            self._runs = True
        # A daemon: it must not keep a program alive that has ended.
        thread = threading.Thread(target=self._run, name="kairo_metrics ticker", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter ends, or the system has no more threads
            with self._lock:
                self._runs = False

    def end(self, *_error: object) -> None:
        """See `begin`, which may have been called in the parent of a forked child."""
        try:  # noqa: SIM105  `suppress` calls three functions
            self._active.pop()
        except IndexError:
            pass

    __enter__, __exit__ = begin, end

    def stop(self) -> None:
        """Tick no more. The next pipeline has the same recorder, and its deltas must not go to this one's store."""
        with self._lock:
            self._is_stopped = True

    def _run(self) -> None:
        while True:
            # Looked up each time: gevent may replace it later, and the old one would stop every request meanwhile.
            (self._sleep or time.sleep)(self._interval_s)
            with self._lock:
                self._runs = False  # first: whoever begins meanwhile, and is not seen here, sees it and starts a thread
                if self._is_stopped or not (self._active or self._is_needed()):
                    return
                self._runs = True
            self._tick()
