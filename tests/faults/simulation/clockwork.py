"""An event loop in which only the simulation moves the clock."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable
from typing import Any

__all__ = ["VirtualLoop"]


class _NoWaiting(selectors.SelectSelector):
    """Stops the loop instead of waiting, and stores how long it would have waited."""

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
        """Run what is ready; return the seconds until the next timer."""
        self.run_forever()
        return self._waits.wait_s


def _ignore(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Ignore exceptions of a killed instance's tasks; any other one is a failure."""
    if "exception" in context and not isinstance(context["exception"], asyncio.CancelledError):
        raise context["exception"]
