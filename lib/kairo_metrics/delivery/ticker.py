"""Flushing every few seconds while something is being served: a stream may run for minutes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["LoopTicker", "ThreadTicker", "loop_is_running"]


def loop_is_running() -> bool:
    """Return whether this thread runs an event loop of asyncio; trio, for one, has others."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Loop:
    """An event loop: what it is serving, and the timer of its next flush."""

    __slots__ = ("active", "timer")

    def __init__(self) -> None:
        self.active = 0
        self.timer: asyncio.TimerHandle | None = None


class LoopTicker:
    """Calls `tick` in an event loop every few seconds while the loop serves something.

    Args:
        interval_s: seconds between two calls.
        tick: starts a flush.
    """

    def __init__(self, interval_s: float, tick: Callable[[], None]) -> None:
        self._interval_s = interval_s
        self._tick = tick
        self._loops: dict[asyncio.AbstractEventLoop, _Loop] = {}

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Tick while the block runs. A short block costs no timer of its own."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def begin(self) -> None:
        """Tick in the running event loop until `end` is called as often as this."""
        loop = asyncio.get_running_loop()
        state = self._loops.get(loop)
        if state is None:
            for known in [known for known in list(self._loops) if known.is_closed()]:
                self._loops.pop(known, None)
            state = self._loops[loop] = _Loop()
        state.active += 1
        if state.timer is None:
            state.timer = loop.call_later(self._interval_s, self._on_timer, loop, state)

    def end(self) -> None:
        """See `begin`, which may have been called in the parent of a forked child."""
        state = self._loops.get(asyncio.get_running_loop())
        if state is not None and state.active:
            state.active -= 1

    def _on_timer(self, loop: asyncio.AbstractEventLoop, state: _Loop) -> None:
        state.timer = None
        if state.active:
            state.timer = loop.call_later(self._interval_s, self._on_timer, loop, state)
            self._tick()


class ThreadTicker:
    """Calls `tick` in a thread of its own every few seconds while other threads serve something, or while it is needed.

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
        self._active = 0
        self._runs = False
        self._is_stopped = False

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Tick while the block runs."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def begin(self) -> None:
        """Tick until `end` is called as often as this."""
        with self._lock:
            self._active += 1
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

    def end(self) -> None:
        """See `begin`, which may have been called in the parent of a forked child."""
        with self._lock:
            self._active = max(0, self._active - 1)

    def stop(self) -> None:
        """Tick no more. The next pipeline has the same recorder, and its deltas must not go to this one's store."""
        with self._lock:
            self._is_stopped = True

    def _run(self) -> None:
        while True:
            # Looked up each time: gevent may replace it later, and the old one would stop every request meanwhile.
            (self._sleep or time.sleep)(self._interval_s)
            with self._lock:
                if self._is_stopped or (not self._active and not self._is_needed()):
                    self._runs = False
                    return
            self._tick()
