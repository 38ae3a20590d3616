"""Apps and functions in trio, which has no event loop of asyncio: hypercorn serves with it, and anyio tests with it."""

from __future__ import annotations

import asyncio

import trio

from lib.kairo_metrics import aflush, instrument, measured
from tests.support.instance import samples
from tests.support.recording import Recording
from tests.support.watched_app import call, cms


async def test_an_app_is_served_and_measured_in_trio(recording: Recording) -> None:
    """A request has the same answer as without metrics, and `aflush` sends what was counted."""
    app = instrument(cms())
    answer = await asyncio.to_thread(lambda: trio.run(call, app, "GET", "/items/7"))
    assert answer.text == "hello 7"
    assert await asyncio.to_thread(lambda: trio.run(aflush)) is True
    key = 'http_requests_total{method="GET",route="/items/{id}",status="200"}'
    assert (await samples(recording.store, key))[key] == 1


async def test_a_function_is_measured_in_trio(recording: Recording) -> None:
    """What a function counts is sent at its end."""

    @measured
    async def nightly_sync() -> int:
        await trio.lowlevel.checkpoint()
        return 3

    assert await asyncio.to_thread(lambda: trio.run(nightly_sync)) == 3
    key = 'function_invocations_total{function="nightly_sync",outcome="success"}'
    assert (await samples(recording.store, key))[key] == 1
