"""Apps under OpenTelemetry's own instrumentation: what a request counts leaves with the flush of that request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import flask
import httpx
import pytest
import redis
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.metrics import Counter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.trace import NoOpTracerProvider

from lib.kairo_metrics import KairoMetricReader, Settings, instrument, measured
from lib.kairo_metrics.delivery.process_pipeline import close_pipeline, open_pipeline
from lib.kairo_metrics.errors import StoreError
from lib.kairo_metrics.instruments.recorder import RECORDER
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import samples, settings
from tests.support.proxy import Proxy
from tests.support.wsgi_client import call_wsgi

REQUESTS = 5


@pytest.fixture
def provider() -> Iterator[MeterProvider]:
    """Give a provider with our reader."""
    provider = MeterProvider([KairoMetricReader(scope_info_enabled=False)], shutdown_on_exit=False)
    yield provider
    provider.shutdown()


@pytest.fixture
async def opened(proxy: Proxy, provider: MeterProvider) -> AsyncIterator[RedisStore]:
    """Open the process's pipeline on a real Redis behind a proxy."""
    del provider  # it ends after the pipeline
    close_pipeline()
    RECORDER.forget()
    pipeline = open_pipeline(settings(proxy.url))
    assert pipeline is not None
    assert isinstance(pipeline.store, RedisStore)
    yield pipeline.store
    await pipeline.store.aclose()
    close_pipeline()


def fastapi_app(provider: MeterProvider, orders: Counter, *, ours_first: bool = False) -> Any:
    """Return an app that counts, under OpenTelemetry's instrumentation and ours."""
    app = instrument(FastAPI()) if ours_first else FastAPI()

    @app.get("/orders/{number}")
    async def order(number: int) -> int:
        orders.add(1, {"kind": "book"})
        return number

    FastAPIInstrumentor.instrument_app(app, meter_provider=provider, tracer_provider=NoOpTracerProvider())
    return app if ours_first else instrument(app)


def flask_app(provider: MeterProvider, orders: Counter, *, ours_first: bool = False) -> Any:
    """Return the same in Flask."""
    app = instrument(flask.Flask(__name__)) if ours_first else flask.Flask(__name__)

    @app.get("/orders/<int:number>")
    def order(number: int) -> str:
        orders.add(1, {"kind": "book"})
        return str(number)

    instrumentor: Any = FlaskInstrumentor()  # it has no types
    instrumentor.instrument_app(app, meter_provider=provider, tracer_provider=NoOpTracerProvider())
    return app if ours_first else instrument(app)


async def ask_fastapi(app: Any, number: int) -> None:
    """Send a request to an ASGI app."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        assert (await client.get(f"/orders/{number}")).status_code == 200


async def ask_flask(app: Any, number: int) -> None:
    """Send a request to a WSGI app."""
    answer = await asyncio.to_thread(call_wsgi, app, "GET", f"/orders/{number}")
    assert answer.status.startswith("200")


Ask = Callable[[Any, int], Any]


@pytest.mark.parametrize("ours_first", [False, True])
@pytest.mark.parametrize(("build", "ask"), [(fastapi_app, ask_fastapi), (flask_app, ask_flask)])
async def test_a_request_is_one_round_trip(  # noqa: PLR0913, PLR0917  fixtures, and what differs
    opened: RedisStore,
    proxy: Proxy,
    redis_client: redis.Redis,
    provider: MeterProvider,
    build: Any,
    ask: Ask,
    ours_first: bool,
) -> None:
    """Its own counts, those of OpenTelemetry's instrumentation and ours are in one command, whoever is put on first."""
    app = build(provider, provider.get_meter("shop").create_counter("orders"), ours_first=ours_first)
    await ask(app, 0)
    proxy.reset_counts()
    redis_client.config_resetstat()
    for number in range(1, REQUESTS):
        await ask(app, number)
        assert await samples(opened, "orders_total") == {'orders_total{kind="book"}': number + 1}
    assert redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] == REQUESTS - 1
    durations = await samples(opened, "http_server_duration_milliseconds_count")
    assert sum(durations.values()) == REQUESTS
    assert set((await samples(opened, "http_server_active_requests")).values()) == {0}
    assert sum((await samples(opened, "http_requests_total")).values()) == REQUESTS


async def test_an_invocation_is_one_round_trip(
    opened: RedisStore, redis_client: redis.Redis, provider: MeterProvider
) -> None:
    """What a measured function counts, blocking or not, or a measured block, is sent at its end."""
    orders = provider.get_meter("shop").create_counter("orders")

    @measured
    def blocking() -> None:
        orders.add(1)

    @measured
    async def waiting() -> None:
        orders.add(1)

    def block() -> None:
        with measured("block"):
            orders.add(1)

    await asyncio.to_thread(blocking)
    for number, run in enumerate([blocking, block], start=2):
        redis_client.config_resetstat()
        await asyncio.to_thread(run)
        assert redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] == 1
        assert await samples(opened, "orders_total") == {"orders_total": number}
    await waiting()
    assert await samples(opened, "orders_total") == {"orders_total": 4}


async def test_replies_that_are_lost(opened: RedisStore, proxy: Proxy, provider: MeterProvider) -> None:
    """A flush whose reply never comes counts once: the same batch is sent again."""
    meter = provider.get_meter("shop")
    orders, load = meter.create_counter("orders"), meter.create_up_down_counter("load")
    told = [0.0]
    meter.create_observable_counter("seen", [lambda _: [Observation(told[0])]])
    wait = meter.create_histogram("wait")
    pipeline = open_pipeline()
    assert pipeline is not None
    for number in range(1, 9):
        orders.add(1)
        load.add(-1)
        wait.record(number)
        told[0] += 2
        if number % 2:
            proxy.lose_reply()
        try:
            await pipeline.flusher.aflush()
        except StoreError:
            assert number % 2
    await pipeline.flusher.aflush()
    assert await samples(opened, "orders_total") == {"orders_total": 8}
    assert await samples(opened, "load") == {"load": -8}
    assert await samples(opened, "seen_total") == {"seen_total": 16}
    assert (await samples(opened, "wait_count"), await samples(opened, "wait_sum")) == (
        {"wait_count": 8},
        {"wait_sum": 36},
    )


async def test_event_loops_and_threads_that_flush_at_once(opened: RedisStore, provider: MeterProvider) -> None:
    """Two event loops and two threads count and flush beside each other: each count arrives once."""
    meter = provider.get_meter("shop")
    orders = meter.create_counter("orders")
    total = [0]
    meter.create_observable_counter("seen", [lambda _: [Observation(total[0])]])
    pipeline = open_pipeline()
    assert pipeline is not None
    flusher, rounds, lock = pipeline.flusher, 40, threading.Lock()

    def count() -> None:
        orders.add(1)
        with lock:
            total[0] += 1

    async def in_loop() -> None:
        for _ in range(rounds):
            count()
            await flusher.after_response()
        await opened.aclose()

    def in_thread() -> None:
        for _ in range(rounds):
            count()
            flusher.after_call()

    workers = [lambda: asyncio.run(in_loop()), lambda: asyncio.run(in_loop()), in_thread, in_thread]
    await asyncio.gather(*[asyncio.to_thread(worker) for worker in workers])
    await flusher.aflush()
    assert await samples(opened, "orders_total") == {"orders_total": 4 * rounds}
    assert await samples(opened, "seen_total") == {"seen_total": 4 * rounds}


@pytest.mark.long
def test_a_thousand_short_instances() -> None:
    """Each lives for one request: the page shows one right series of each kind, and not those of the dead."""
    chosen = Settings(enabled=True, namespace="test")
    store = MemoryStore(chosen)
    instances = 1000
    for number in range(instances):
        close_pipeline()
        RECORDER.forget()
        RECORDER.followers.clear()
        provider = MeterProvider([KairoMetricReader(scope_info_enabled=False)], shutdown_on_exit=False)
        meter = provider.get_meter("shop")
        pipeline = open_pipeline(chosen, store)
        assert pipeline is not None
        meter.create_observable_counter("seen", [lambda _: [Observation(3)]])
        for _ in range(2):
            meter.create_counter("orders").add(1, {"kind": "book"})
            meter.create_up_down_counter("load").add(1 if number % 2 else -1)
            meter.create_histogram("wait", "s", explicit_bucket_boundaries_advisory=[1]).record(number % 2)
            pipeline.flusher.after_call()
        provider.shutdown()
    close_pipeline()
    found = asyncio.run(samples(store, ""))
    expected = {
        'orders_total{kind="book"}': 2 * instances,
        "seen_total": 3 * instances,
        "load": 0,
        'wait_seconds_bucket{le="1.0"}': 2 * instances,
        'wait_seconds_bucket{le="+Inf"}': 2 * instances,
        "wait_seconds_count": 2 * instances,
        "wait_seconds_sum": instances,
    }
    assert {
        name: value
        for name, value in found.items()
        if name.partition("{")[0]
        in {"orders_total", "seen_total", "load", "wait_seconds_bucket", "wait_seconds_count", "wait_seconds_sum"}
    } == expected
