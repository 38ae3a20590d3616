"""An event loop whose clock jumps to the next timer: hours pass at once, and code itself takes no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator
from typing import Any

import pytest

__all__ = ["WarpLoop", "loop"]


class _Jumping(selectors.SelectSelector):
    """Moves the clock instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1_000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("every task waits, and there is no timer to wake one")
        self.now_s += max(0.0, timeout)
        return []


class WarpLoop(asyncio.SelectorEventLoop):
    """Runs coroutines that need no sockets and no threads."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


@pytest.fixture
def loop() -> Iterator[WarpLoop]:
    """Give an event loop of virtual time."""
    loop = WarpLoop()
    asyncio.set_event_loop(loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close()
