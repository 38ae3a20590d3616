"""Who waits for a flush: of the calls that share it one that the platform waits for, and the others end at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from lib.kairo_metrics import instrument, measured
from lib.kairo_metrics.delivery.flusher import Flusher
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import Instance, settings
from tests.support.recording import Recording
from tests.support.watched_app import call, plain
from tests.support.wsgi_client import call_wsgi

THREADS = 20
MANY, PAUSE_S = 8, 0.02
REQUESTS = "http_requests_total"


async def greet(websocket: WebSocket) -> None:
    """Serve a websocket that ends at once."""
    await websocket.accept()
    await websocket.close()


@pytest.fixture
def app(recording: Recording) -> Any:
    """Return an app that is instrumented with the test's pipeline."""
    assert recording.pipeline
    return instrument(Starlette(routes=[Route("/items/{id}", plain), WebSocketRoute("/greet", greet)]))


@pytest.fixture
def flusher(recording: Recording) -> Flusher:
    """Return the process's flusher."""
    return recording.pipeline.flusher


@contextmanager
def held(flusher: Flusher) -> Iterator[None]:
    """Let no flush begin while the block runs."""
    holder = flusher._lock.acquire()
    assert holder is not None
    try:
        yield
    finally:
        flusher._lock.release(holder)


async def started(work: Awaitable[Any]) -> asyncio.Task[Any]:
    """Start something, and return when it has ended or waits."""

    async def run() -> Any:
        return await work

    task = asyncio.create_task(run())
    await settled()
    return task


async def settled() -> None:
    """Let the event loop run what it can."""
    for _ in range(100):
        await asyncio.sleep(0)


async def test_a_request_relies_on_one_that_waits(app: Any, flusher: Flusher, recording: Recording) -> None:
    """It ends with its response, and what it has counted is sent when the other one has ended."""
    with held(flusher):
        first = await started(call(app, "GET", "/items/1"))
        second = await started(call(app, "GET", "/items/2"))
        assert (first.done(), second.done(), flusher.pending) == (False, True, True)
    await first
    assert not flusher.pending
    assert await recording.only(REQUESTS) == 2


def test_a_thread_relies_on_one_that_waits(flusher: Flusher) -> None:
    """Of many threads one waits, and the others serve the next requests."""

    def hello(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"hello"]

    app = instrument(hello)
    call_wsgi(app, "GET", "/")
    begin = threading.Barrier(THREADS, timeout=60)

    def request() -> None:
        begin.wait()
        call_wsgi(app, "GET", "/")

    with ThreadPoolExecutor(THREADS) as threads:
        with held(flusher):
            requests = [threads.submit(request) for _ in range(THREADS)]
            # Two that look at the same instant may both wait.
            for ended in islice(as_completed(requests, timeout=30), THREADS // 2):
                ended.result()
            assert flusher.pending
        for request_ended in requests:
            request_ended.result(timeout=30)
    assert not flusher.pending


def test_on_a_busy_instance_many_threads_share_a_flush(flusher: Flusher, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a flush that many have shared, the next one waits for a moment, and those that end meanwhile share it."""
    pauses, sleep = [], time.sleep

    def pause(seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():  # the ticker sleeps as well
            pauses.append(seconds)
            call_wsgi(app, "GET", "/")
        else:
            sleep(seconds)

    def hello(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"hello"]

    app = instrument(hello)
    monkeypatch.setattr(time, "sleep", pause)
    with ThreadPoolExecutor(1) as threads:
        with held(flusher):
            first = threads.submit(call_wsgi, app, "GET", "/")
            while not flusher._commit.join(flusher.recorder.epoch):
                sleep(0.001)
            for _ in range(MANY):
                call_wsgi(app, "GET", "/")
        first.result(timeout=30)
    call_wsgi(app, "GET", "/")
    call_wsgi(app, "GET", "/")
    assert pauses == [PAUSE_S]
    assert not flusher.pending


def test_a_pause_is_part_of_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread waits no longer for a store that does not answer, however busy the instance is."""
    now_s = [100.0]
    recorder = Recorder((lambda: now_s[0], lambda: now_s[0]))
    store = MemoryStore(chosen := settings())
    store.load()
    instance = Instance(store, recorder, Flusher(recorder, store, chosen))
    instance.add('queue="a"')
    instance.flusher._commit._joined = MANY

    def pause(_seconds: float) -> None:
        now_s[0] += chosen.flush_budget_ms / 1000

    monkeypatch.setattr(time, "sleep", pause)
    instance.flusher.after_call()
    assert instance.flusher.pending  # the budget was over


@pytest.mark.parametrize("request_is_first", [True, False])
async def test_a_measured_block_and_a_request_do_not_rely_on_each_other(
    app: Any, flusher: Flusher, recording: Recording, request_is_first: bool
) -> None:
    """The block may run in a thread that no platform waits for, and the program may end with it."""

    async def step() -> None:
        async with measured("step"):
            pass

    works = [call(app, "GET", "/items/1"), step()]
    with held(flusher):
        both = [await started(work) for work in (works if request_is_first else reversed(works))]
        assert [task.done() for task in both] == [False, False]
    await asyncio.gather(*both)
    assert await recording.only(REQUESTS) == 1


async def test_nobody_relies_on_a_request_that_does_not_wait(app: Any, flusher: Flusher) -> None:
    """While the store is away a request ends at once. The first one after the pause tries the store again."""
    flusher._breaker.fail()
    await call(app, "GET", "/items/1")
    assert flusher.pending
    flusher._breaker.succeed()
    await call(app, "GET", "/items/2")
    assert not flusher.pending


def test_nobody_relies_on_a_websocket(app: Any, flusher: Flusher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Platforms wait for a request, and for a websocket only until it is accepted."""
    relied_on = []

    async def after_response(*, keeps_awake: bool) -> None:
        relied_on.append(keeps_awake)

    monkeypatch.setattr(flusher, "after_response", after_response)
    client = TestClient(app)
    client.get("/items/1")
    with client.websocket_connect("/greet"):
        pass
    assert relied_on == [True, False]


async def test_what_a_cancelled_call_leaves_goes_with_the_next(
    app: Any, flusher: Flusher, recording: Recording
) -> None:
    """A server that cancels the call which waits, and then again, loses nothing of those that relied on it."""
    with held(flusher):
        first = await started(call(app, "GET", "/items/1"))
        await call(app, "GET", "/items/2")
        for _ in range(2):
            first.cancel()
            await settled()
        with pytest.raises(asyncio.CancelledError):
            await first
        following = await started(call(app, "GET", "/items/3"))
        assert not following.done()
    await following
    assert not flusher.pending
    assert await recording.only(REQUESTS) == 3
