"""An event loop in which time passes only when it is told to."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable
from typing import Any

__all__ = ["VirtualLoop"]


class _NoWaiting(selectors.SelectSelector):
    """Instead of waiting it ends the run of the loop, and remembers for how long it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.end_run: Callable[[], None] = lambda: None
        self.wait_s = math.inf

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            self.wait_s = math.inf if timeout is None else timeout
            self.end_run()
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The event loop of one instance.

    Args:
        clock_s: the instance's monotonic clock.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._waits = _NoWaiting()
        self._clock_s = clock_s
        super().__init__(self._waits)
        self._waits.end_run = self.stop
        self.set_exception_handler(_ignore)

    def time(self) -> float:
        return self._clock_s()

    def run_ready(self) -> float:
        """Run whatever can run now; return in how many seconds a timer is due."""
        self.run_forever()
        return self._waits.wait_s


def _ignore(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Let no task of a killed instance say how it ended; anything else is a finding."""
    if "exception" in context and not isinstance(context["exception"], asyncio.CancelledError):
        raise context["exception"]
