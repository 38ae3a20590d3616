"""A scrape, compared with `HGETALL` and a join: the same bytes without checking, merging and formatting."""

from __future__ import annotations

import asyncio
import statistics
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import redis

from benchmarks.timing import row
from lib.kairo_metrics import Settings
from lib.kairo_metrics.exposition import text
from lib.kairo_metrics.model.encoding import label_text, pack_line
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.scrape.collector import Limits, collect
from lib.kairo_metrics.scrape.page_order import PageOrder
from lib.kairo_metrics.scrape.state_reader import StateReader
from lib.kairo_metrics.store.keys import Keys
from lib.kairo_metrics.store.redis_store import RedisStore

__all__ = ["bench_scrape"]

_ROUNDS = 9
_LABELS = ("method", "route", "status")
_BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.2", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf")
_COUNTER = Schema("requests", "counter", _LABELS)
_HISTOGRAM = Schema("latency", "histogram", _LABELS, _BOUNDS)
_KEYS = Keys(Settings().namespace, 0)


def bench_scrape(url: str) -> None:
    """Measure scrapes of counters and histograms, from the first command to the last byte."""
    print("Scrape, floor: HGETALL of as many fields, and a join")
    floors_s = {}
    with redis.Redis.from_url(url) as client:
        for count in (1_000, 10_000, 100_000, 1_000_000):
            _fill(client, _COUNTER, count, [12345.0])
            rounds = max(_ROUNDS, 100_000 // count)  # the interpreter adapts to a small page after some ten of them
            floors_s[count], scrape_s, order_s = asyncio.run(_in_turn(url, count, rounds, client))
            row(f"{count} fields, HGETALL + join", floors_s[count])
            row(f"{count} counters, scrape", scrape_s, floors_s[count])
            print(f"    {order_s / scrape_s:.1%} of it puts the series in order")
        with get_context("spawn").Pool(1) as process:
            held, largest = process.apply(_held_bytes, (url,))
        print(f"  {count} counters: a process holds {held / count:.0f} bytes for each after a page,")
        print(f"  and {largest / count:.0f} at most while it makes one")
        _fill(client, _HISTOGRAM, 1_000, [0.25, *map(float, range(1, len(_HISTOGRAM.shape)))])
        print("\nScrape of histograms, floor: HGETALL of 10000 fields, and a join")
        row("1000 histograms x 12 buckets, scrape", asyncio.run(_in_turn(url, 14_000, _ROUNDS))[1], floors_s[10_000])


def _fill(client: redis.Redis, schema: Schema, count: int, numbers: list[float]) -> None:
    client.flushall()
    now_ms = int(time.time() * 1000)
    client.hset(_KEYS.families, schema.index_field, f"{now_ms} {now_ms} {schema.metadata()}")
    line = pack_line(numbers, now_ms, now_ms)
    with client.pipeline(transaction=False) as pipeline:
        for number in range(count):
            pipeline.hset(_KEYS.series(schema), label_text(_LABELS, ["GET", f"/api/items/{number}", "200"]), line)
        pipeline.execute()


def _raw(client: Any) -> bytes:  # redis-py types a reply as bytes or str, whatever the client decodes
    return b"\n".join([field + b" " + value for field, value in client.hgetall(_KEYS.series(_COUNTER)).items()])


def _held_bytes(url: str) -> tuple[int, int]:
    """Return the bytes by which this process has grown after a few pages, and at most while it made them."""
    before = _memory_bytes("VmRSS")
    asyncio.run(_make_pages(url))
    return _memory_bytes("VmRSS") - before, _memory_bytes("VmHWM") - before


def _memory_bytes(line: str) -> int:
    """Read how much memory this process has, `VmRSS`, or had at most, `VmHWM`.

    The `ru_maxrss` of `getrusage` would also count what the parent had when it started this process.
    """
    words = Path("/proc/self/status").read_text().split()
    return int(words[words.index(f"{line}:") + 1]) * 1024


async def _make_pages(url: str) -> None:
    settings = Settings(enabled=True, redis_url=url)
    store = RedisStore(settings)
    reader = StateReader(store, settings, store.ping)
    for _ in range(3):
        page, _ = await reader.read_page(time.perf_counter(), 60.0)
        for _ in text.render(page.families):
            pass
        del page
    await store.aclose()


async def _in_turn(url: str, lines: int, rounds: int, client: redis.Redis | None = None) -> tuple[float, float, float]:
    """Take the floor with a client, and a scrape in a process that has shown a page before, in turn.

    Returns:
        the seconds of the floor and of a scrape, and how many of them its order took; medians.
    """
    settings = Settings(enabled=True, redis_url=url)
    store, order = RedisStore(settings), PageOrder()
    floors_s, scrapes_s, orders_s = [], [], []
    for _ in range(rounds):
        began = time.perf_counter()
        if client is not None:
            _raw(client)
        started = time.perf_counter()
        floors_s.append(started - began)
        scrape = await collect(store, Limits(settings.series_ttl_s), shown=order.last)
        read = time.perf_counter()
        page = order.applied(scrape.page)
        orders_s.append(time.perf_counter() - read)
        body = b"".join(text.render(page.families))
        scrapes_s.append(time.perf_counter() - started)
        if body.count(b"\n") < lines:
            raise AssertionError("the scrape is incomplete")
    await store.aclose()
    return statistics.median(floors_s), statistics.median(scrapes_s), statistics.median(orders_s)
