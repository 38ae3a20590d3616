"""Requests that wait for a flush."""

from __future__ import annotations

import asyncio

from lib.kairo_metrics.delivery.waiting import Waiting
from tests.support.warp import WarpLoop


def test_a_thousand_requests_share_one_timer_and_each_waits_its_own_budget(loop: WarpLoop) -> None:
    """A request that came half a second later may wait half a second longer, at no timer of its own."""
    waiting, began_s = Waiting(loop), loop.time()
    ended_s: list[float] = []

    async def request(delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await waiting.until(1, loop.time() + 2.0)
        ended_s.append(loop.time() - began_s)

    async def requests() -> None:
        tasks = [loop.create_task(request(0.5 * (number % 2))) for number in range(1_000)]
        await asyncio.sleep(1.0)
        assert len(loop._scheduled) == 1  # type: ignore[attr-defined]
        await asyncio.gather(*tasks)

    loop.run_until_complete(requests())
    assert sorted(ended_s) == [2.0] * 500 + [2.5] * 500


def test_only_those_are_woken_whose_epoch_is_settled(loop: WarpLoop) -> None:
    """A request whose increments came after the flush began waits for the next one, and wakes but once."""
    waiting = Waiting(loop)

    async def requests() -> None:
        first, second = (waiting.until(epoch, loop.time() + 2.0) for epoch in (1, 2))
        waiting.wake(1)
        assert (first.done(), second.done(), waiting.epoch) == (True, False, 2)
        waiting.wake()
        assert (second.done(), waiting.epoch) == (True, None)

    loop.run_until_complete(requests())


def test_a_cancelled_request_wakes_the_others_all_the_same(loop: WarpLoop) -> None:
    """A client that hangs up while its request waits delays nobody."""
    waiting = Waiting(loop)

    async def requests() -> None:
        cancelled, other = (waiting.until(1, loop.time() + 2.0) for _ in range(2))
        cancelled.cancel()
        waiting.wake(1)
        assert other.done()

    loop.run_until_complete(requests())
