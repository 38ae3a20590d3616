"""A flush, compared with one `EVALSHA` that makes the same four increments and nothing else, in turn with it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable

import redis
import redis.asyncio
from prometheus_client import CollectorRegistry, Counter, Histogram

from benchmarks.redis_time import FLOOR_SCRIPT
from benchmarks.timing import median_s, row
from lib.kairo_metrics import Settings
from lib.kairo_metrics.delivery.process_pipeline import close_pipeline, open_pipeline
from lib.kairo_metrics.store.redis_store import RedisStore

__all__ = ["bench_flush"]

_ROUNDS, _BLOCKS = 1_000, 5


def bench_flush(url: str) -> None:
    """Measure the flush of one request: a counter, a histogram observation and an error counter."""
    print("Flush of 1 counter + 1 histogram observation + 1 error, floor: EVALSHA of 4 HINCRBYFLOAT by redis-py")
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
    client, aclient = redis.Redis.from_url(url), redis.asyncio.Redis.from_url(url)
    digest = client.script_load(FLOOR_SCRIPT)

    def record() -> None:
        requests.inc()
        latency.observe(0.25)
        errors.inc()

    def record_and_flush() -> None:
        record()
        flusher.flush()

    with asyncio.Runner() as runner:
        loop = runner.get_loop()

        def record_and_aflush() -> None:
            record()
            loop.run_until_complete(flusher.aflush())

        row("recording alone", median_s(record, _ROUNDS))
        _in_turn("EVALSHA", lambda: client.evalsha(digest, 1, "{floor}"), "flush()", record_and_flush)
        _in_turn(
            "EVALSHA in an event loop",
            lambda: loop.run_until_complete(aclient.evalsha(digest, 1, "{floor}")),
            "aflush()",
            record_and_aflush,
        )
        runner.run(store.aclose())
        runner.run(aclient.aclose())
    client.close()
    close_pipeline()


def _in_turn(floor: str, raw: Callable[[], object], what: str, flush: Callable[[], object]) -> None:
    """Print the median time and the CPU time of this process for both, measured in blocks that take turns."""
    figures: dict[str, list[tuple[float, float]]] = {floor: [], what: []}
    for _ in range(_BLOCKS):
        for name, work in ((floor, raw), (what, flush)):
            before_s = time.process_time()
            wall_s = median_s(work, _ROUNDS)
            figures[name].append((wall_s, (time.process_time() - before_s) / (_ROUNDS + _ROUNDS // 10)))
    (floor_s, floor_cpu_s), (own_s, own_cpu_s) = [
        [statistics.median(times) for times in zip(*rounds, strict=True)] for rounds in figures.values()
    ]
    row(floor, floor_s)
    row(what, own_s, floor_s)
    row(f"{floor}, CPU time of the process", floor_cpu_s)
    row(f"{what}, CPU time of the process", own_cpu_s, floor_cpu_s)
