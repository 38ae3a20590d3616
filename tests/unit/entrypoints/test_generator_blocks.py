"""Blocks of `measured` in generators: whoever consumes one may do so in other threads and contexts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextvars import copy_context
from typing import Annotated

from fastapi import Depends, FastAPI
from starlette.responses import StreamingResponse

from lib.kairo_metrics import instrument, measured
from lib.kairo_metrics.entrypoints.calls import CURRENT
from tests.support.recording import Recording
from tests.support.watched_app import call


async def _outcomes(recording: Recording) -> dict[str, float]:
    counts = await recording.samples("function_invocations_total")
    return {key.partition("{")[2].rstrip("}"): value for key, value in counts.items() if value}


def _connection() -> Iterator[str]:
    with measured("connection"):
        yield "open"


async def _session() -> AsyncIterator[str]:
    async with measured("session"):
        yield "open"


async def test_a_dependency_and_a_stream_of_fastapi_are_measured(recording: Recording) -> None:
    """FastAPI begins and ends a generator in different threads, and the request is answered as without the block."""
    app = FastAPI()

    @app.get("/dependency")
    def dependency(
        one: Annotated[str, Depends(_connection)], two: Annotated[str, Depends(_session)]
    ) -> tuple[str, str]:
        return one, two

    @app.get("/stream")
    def stream() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            with measured("stream"):
                yield from [b"a", b"b", b"c"]

        return StreamingResponse(parts())

    instrument(app)
    assert (await call(app, "GET", "/dependency")).json() == ["open", "open"]
    assert (await call(app, "GET", "/stream")).content == b"abc"
    assert await _outcomes(recording) == {
        'function="connection",outcome="success"': 1,
        'function="session",outcome="success"': 1,
        'function="stream",outcome="success"': 1,
    }
    assert not [key for key, value in (await recording.samples("api_errors_total")).items() if value]


async def test_generators_may_be_interleaved_and_abandoned(recording: Recording) -> None:
    """Each block is counted once under its own name; a consumer that stops early is no error of the function."""

    def rows(name: str) -> Iterator[int]:
        with measured(name):
            yield from range(3)

    before = CURRENT.get()
    one, two, left = rows("one"), rows("two"), rows("left")
    for generator in (one, two, left):
        next(generator)
    assert copy_context().run(list, one) == [1, 2]
    assert list(two) == [1, 2]
    left.close()  # type: ignore[attr-defined]
    assert await _outcomes(recording) == {
        'function="one",outcome="success"': 1,
        'function="two",outcome="success"': 1,
        'function="left",outcome="cancelled"': 1,
    }
    assert CURRENT.get() is before, "no call that is over stays current"


async def test_a_task_that_outlives_its_request_leaves_the_ticker_as_it_was(recording: Recording) -> None:
    """A function that begins inside a request and ends after it does not stop the flushes of later streams."""
    pipeline = recording.pipeline
    ended = asyncio.Event()

    @measured
    async def later() -> None:
        await ended.wait()

    async with measured("request"):
        task = asyncio.create_task(later())
        await asyncio.sleep(0)
    ended.set()
    await task
    assert pipeline.loop_ticker._loops[asyncio.get_running_loop()].active == 0
