"""A flush, compared with one `EVALSHA` that makes the same four increments and nothing else."""

from __future__ import annotations

import asyncio

import redis
from prometheus_client import CollectorRegistry, Counter, Histogram

from benchmarks.redis_time import FLOOR_SCRIPT
from benchmarks.timing import median_s, row
from lib.kairo_metrics import Settings
from lib.kairo_metrics.delivery.pipeline import open_pipeline
from lib.kairo_metrics.store.redis_store import RedisStore

__all__ = ["bench_flush"]

_ROUNDS = 3_000


def bench_flush(url: str) -> None:
    """Measure the flush of one request: a counter, a histogram observation and an error counter."""
    print("Flush of 1 counter + 1 histogram observation + 1 error, floor: EVALSHA of 4 HINCRBYFLOAT")
    client = redis.Redis.from_url(url)
    digest = client.script_load(FLOOR_SCRIPT)
    floor_s = median_s(lambda: client.evalsha(digest, 1, "{floor}"), _ROUNDS)
    row("EVALSHA, redis-py", floor_s)
    client.close()

    settings = Settings(enabled=True, redis_url=url)
    registry = CollectorRegistry()
    requests = Counter("bench_requests", "", ["route"], registry=registry).labels("/items/{id}")
    latency = Histogram("bench_latency", "", ["route"], registry=registry).labels("/items/{id}")
    errors = Counter("bench_errors", "", ["route"], registry=registry).labels("/items/{id}")
    store = RedisStore(settings)
    pipeline = open_pipeline(settings, store, (registry,))
    if pipeline is None:
        raise AssertionError("metrics are enabled above")
    flusher = pipeline.flusher

    def record() -> None:
        requests.inc()
        latency.observe(0.25)
        errors.inc()

    def record_and_flush() -> None:
        record()
        flusher.flush()

    row("recording alone", median_s(record, _ROUNDS))
    row("flush()", median_s(record_and_flush, _ROUNDS), floor_s)
    with asyncio.Runner() as runner:
        loop = runner.get_loop()

        def record_and_aflush() -> None:
            record()
            loop.run_until_complete(flusher.aflush())

        row("aflush()", median_s(record_and_aflush, _ROUNDS), floor_s)
        runner.run(store.aclose())
