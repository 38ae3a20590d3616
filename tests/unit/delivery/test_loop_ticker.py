"""Flushes while an event loop serves something."""

from __future__ import annotations

import asyncio

from lib.kairo_metrics.delivery.loop_ticker import LoopTicker
from tests.support.warp import WarpLoop


def test_a_loop_ticks_while_it_serves(loop: WarpLoop) -> None:
    """A stream of an hour is flushed every 5 seconds, and two short requests in an idle loop cost one timer."""
    ticks: list[float] = []
    ticker = LoopTicker(5.0, lambda: ticks.append(loop.time()))

    async def stream(seconds: float) -> None:
        with ticker:
            await asyncio.sleep(seconds)

    async def streams() -> None:
        await asyncio.gather(stream(3600), stream(30), stream(0))
        began = len(ticks)
        await stream(1)
        await stream(1)
        await asyncio.sleep(100)
        assert len(ticks) == began

    began_s = loop.time()
    loop.run_until_complete(streams())
    assert len(ticks) == 720
    assert ticks[0] - began_s == 5.0


def test_an_event_loop_that_is_closed_is_forgotten() -> None:
    """A program with many short event loops keeps no trace of them."""
    ticker = LoopTicker(5.0, lambda: None)

    async def serve() -> None:
        with ticker:
            await asyncio.sleep(0)

    for _ in range(5):
        asyncio.run(serve())
    assert len(ticker._loops) == 1


def test_a_forked_child_ends_what_its_parent_began(loop: WarpLoop) -> None:
    """A child that is forked within a request leaves the request, and is flushed while its own next one runs."""
    ticks: list[None] = []
    ticker = LoopTicker(5.0, lambda: ticks.append(None))

    async def child() -> None:
        ticker.end()
        with ticker:
            await asyncio.sleep(6)

    loop.run_until_complete(child())
    assert len(ticks) == 1
