"""A scrape against `HGETALL` and a join: what the same bytes cost without checking, merging or format."""

from __future__ import annotations

import statistics
import time

import redis

from benchmarks.timing import median_s, row
from lib.kairo_metrics import Settings
from lib.kairo_metrics.collector import collect
from lib.kairo_metrics.exposition import text
from lib.kairo_metrics.metrics import OVERFLOW_SCHEMA
from lib.kairo_metrics.store.redis import RedisStore
from lib.kairo_metrics.store.schema import Keys, Schema, label_text, pack_line

__all__ = ["bench_scrape"]

_ROUNDS = 9
_LABELS = ("method", "route", "status")
_BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.2", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf")


async def bench_scrape(url: str) -> None:
    """Measure scrapes of counters and histograms, from the first command to the last byte."""
    print("Scrape, floor: HGETALL of the same number of fields, and a join")
    client = redis.Redis.from_url(url)
    for count in (1_000, 10_000, 100_000):
        floor_s = await _measure(client, url, Schema("requests", "counter", _LABELS), count, f"{count} counters", None)
        if count == 10_000:  # noqa: PLR2004  the floor that a thousand histograms are held against
            ten_thousand_fields_s = floor_s
    await _measure(
        client,
        url,
        Schema("latency", "histogram", _LABELS, _BOUNDS),
        1_000,
        "1000 histograms x 12 buckets, floor of 10000 fields",
        ten_thousand_fields_s,
    )
    client.close()


async def _measure(client: redis.Redis, url: str, schema: Schema, count: int, what: str, floor_s: float | None) -> float:
    client.flushall()
    settings = Settings(enabled=True, redis_url=url)
    keys = Keys(settings.namespace, 0)
    now_ms = int(time.time() * 1000)
    numbers = [0.25, *range(1, schema.width)] if schema.type == "histogram" else [12345]
    client.hset(keys.families, schema.index_field, f"{now_ms} {schema.metadata()}")
    for start in range(0, count, 10_000):
        lines = {
            label_text(_LABELS, ["GET", f"/api/items/{number}", "200"]): pack_line(numbers, now_ms, now_ms)
            for number in range(start, min(count, start + 10_000))
        }
        client.hset(keys.series(schema), mapping=lines)
    if floor_s is None:
        floor_s = median_s(lambda: _raw(client, keys.series(schema)), _ROUNDS)
        row(f"{count} fields, HGETALL + join", floor_s)
    store = RedisStore(settings, OVERFLOW_SCHEMA)
    durations = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        scrape = await collect(store, settings.series_ttl_s)
        body = b"".join(text.render(scrape.families))
        durations.append(time.perf_counter() - started)
    if body.count(b"\n") < count:
        raise AssertionError("the scrape is not whole")
    await store.aclose()
    row(f"{what}, scrape", statistics.median(durations), floor_s)
    return floor_s


def _raw(client: redis.Redis, key: str) -> bytes:
    return b"\n".join([field + b" " + value for field, value in client.hgetall(key).items()])
