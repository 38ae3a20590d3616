"""Flushing every few seconds while an event loop serves something: a stream may run for minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

__all__ = ["LoopTicker", "loop_is_running"]


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


class LoopTicker(AbstractContextManager[None]):
    """Calls `tick` in an event loop every few seconds while the loop serves something: while a block of it runs.

    A short block costs no timer of its own.

    Args:
        interval_s: seconds between two calls.
        tick: starts a flush.
    """

    def __init__(self, interval_s: float, tick: Callable[[], None]) -> None:
        self._interval_s = interval_s
        self._tick = tick
        self._loops: dict[asyncio.AbstractEventLoop, _Loop] = {}

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

    def end(self, *_error: object) -> None:
        """See `begin`, which may have been called in the parent of a forked child."""
        state = self._loops.get(asyncio.get_running_loop())
        if state is not None and state.active:
            state.active -= 1

    __enter__, __exit__ = begin, end

    def _on_timer(self, loop: asyncio.AbstractEventLoop, state: _Loop) -> None:
        state.timer = None
        if state.active:
            state.timer = loop.call_later(self._interval_s, self._on_timer, loop, state)
            self._tick()
