"""What a request costs its instance, in counts: steps of ours, objects held while it waits, and commands for Redis."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from itertools import islice
from types import FrameType
from typing import Any, Self

import flask
import pytest
import redis
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from lib.kairo_metrics import instrument
from lib.kairo_metrics.delivery.flusher import Flusher
from lib.kairo_metrics.delivery.process_pipeline import close_pipeline, open_pipeline
from lib.kairo_metrics.instruments.recorder import RECORDER
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.instance import settings
from tests.support.proxy import Proxy
from tests.support.recording import Recording
from tests.support.watched_app import call
from tests.support.wsgi_client import call_wsgi

REQUESTS = 200


async def _hello(_request: Any) -> PlainTextResponse:
    return PlainTextResponse("hello")


def asgi_app() -> Any:
    """Return an app of two lines."""
    return Starlette(routes=[Route("/hello/{name}", _hello)])


def wsgi_app() -> Any:
    """Return the same for WSGI."""
    app = flask.Flask(__name__)
    app.get("/hello/<name>")(lambda name: name)
    return app


class Steps:
    """Counts the calls of Python functions while the block runs, those of any library."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            self.calls[frame.f_code.co_qualname] += 1

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.setprofile(None)


async def _asgi_steps(app: Any) -> Counter[str]:
    for _ in range(2):  # the first request creates the series
        with Steps() as steps:
            await call(app, "GET", "/hello/you")
    return steps.calls


def _wsgi_steps(app: Any) -> Counter[str]:
    for _ in range(2):
        with Steps() as steps:
            call_wsgi(app, "GET", "/hello/you")
    return steps.calls


@pytest.mark.usefixtures("recording")
async def test_a_request_takes_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain request runs few more functions than without metrics, besides the flush that it shares with others."""

    async def nothing(_self: Flusher, **_named: bool) -> None: ...

    monkeypatch.setattr(Flusher, "after_response", nothing)
    monkeypatch.setattr(Flusher, "after_call", lambda _self: None)
    added = await _asgi_steps(instrument(asgi_app())) - await _asgi_steps(asgi_app())
    limit = 49 if sys.version_info >= (3, 12) else 52  # before, each comprehension is a function
    assert added.total() <= limit, added
    added = _wsgi_steps(instrument(wsgi_app())) - _wsgi_steps(wsgi_app())
    assert added.total() <= limit + 7, added


async def test_of_many_requests_one_waits_for_their_flush(recording: Recording) -> None:
    """The others end with their response and hold nothing, so the garbage collector stays idle under load."""
    app = instrument(asgi_app())
    await call(app, "GET", "/hello/you")
    flusher = recording.pipeline.flusher
    holder = flusher._lock.acquire()
    assert holder is not None

    async def nothing(*_message: Any) -> Any: ...

    async def request() -> None:
        await app({"type": "http", "method": "GET", "path": "/hello/you", "headers": []}, nothing, nothing)

    gc.collect()
    before = len(gc.get_objects())
    tasks = [asyncio.create_task(request()) for _ in range(REQUESTS)]
    for ended in islice(asyncio.as_completed(tasks, timeout=30), REQUESTS - 1):
        await ended
    gc.collect()
    assert (len(gc.get_objects()) - before) / REQUESTS <= 10
    assert flusher.pending
    flusher._lock.release(holder)
    await asyncio.gather(*tasks)
    assert not flusher.pending


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize("clients", [1, 8])
async def test_a_request_starts_at_most_one_flush(clients: int) -> None:
    """Clients that send their next request as soon as they have an answer do not add flushes to each other's."""
    app = instrument(asgi_app())

    async def client() -> None:
        for _ in range(REQUESTS // clients):
            await call(app, "GET", "/hello/you")

    with Steps() as steps:
        await asyncio.gather(*(client() for _ in range(clients)))
    assert 1 <= steps.calls[Flusher._start_flush.__qualname__] <= REQUESTS + 1


@pytest.fixture
async def near_redis(proxy: Proxy) -> AsyncIterator[Proxy]:
    """Open the process's pipeline on a Redis that answers after 20 ms."""
    RECORDER.forget()
    close_pipeline()
    chosen = settings(proxy.url, flush_budget_ms=30_000)
    store = RedisStore(chosen)
    open_pipeline(chosen, store)
    RECORDER.forget()
    yield proxy
    with suppress(RuntimeError):
        await store.aclose()
    close_pipeline()


async def test_concurrent_requests_share_flushes(near_redis: Proxy, redis_client: redis.Redis) -> None:
    """200 requests at once, in an event loop or in threads, take fewer than 20 commands, and all of them arrive."""
    app, other = instrument(asgi_app()), instrument(wsgi_app())
    await call(app, "GET", "/hello/you")
    near_redis.reply_delay_ms = 20
    commands = await _commands_of(
        redis_client, lambda: asyncio.gather(*(call(app, "GET", "/hello/you") for _ in range(REQUESTS)))
    )
    assert 1 <= commands < REQUESTS / 10
    assert not RECORDER.pending, "a request ended before what it had counted was sent"
    commands = await _commands_of(redis_client, lambda: asyncio.to_thread(_in_threads, other))
    assert 1 <= commands < REQUESTS / 10
    assert not RECORDER.pending
    near_redis.reply_delay_ms = 0


def _in_threads(app: Any) -> None:
    begin = threading.Barrier(REQUESTS, timeout=60)

    def request() -> None:
        begin.wait()
        call_wsgi(app, "GET", "/hello/you")

    threads = [threading.Thread(target=request) for _ in range(REQUESTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def _commands_of(client: redis.Redis, requests: Callable[[], Any]) -> int:
    client.config_resetstat()
    await requests()
    return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])
