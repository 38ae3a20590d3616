"""What the simulation is fed with, measured against a real Redis: time, bytes and memory."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import redis

from benchmarks.scaling.sender import Sender
from lib.kairo_metrics import Settings
from lib.kairo_metrics.exposition import text
from lib.kairo_metrics.scrape.collector import Limits, collect
from lib.kairo_metrics.store.apply_batch import WRITER_LEASE_S
from lib.kairo_metrics.store.keys import Keys
from lib.kairo_metrics.store.redis_store import RedisStore

__all__ = ["BatchCost", "Memory", "Scraped", "by_size", "measure_batches", "measure_memory", "measure_scrape"]

_SIZES = (1, 2, 4, 8, 16, 32)
_WRITERS = 40
_ROUNDS = 50
_SCRAPES = 5
_RECORDS = 20_000


@dataclass(frozen=True, slots=True)
class BatchCost:
    """What a batch of so many requests costs, on average.

    Args:
        requests: how many.
        families: it touches.
        series: it touches.
        sent_bytes: the command's size.
        script_s: the script's time, as `INFO commandstats` has it.
        server_s: the processor's time of the whole server for it, which adds reading, parsing and answering.
    """

    requests: int
    families: float
    series: float
    sent_bytes: float
    script_s: float
    server_s: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What the server's memory goes to, in bytes.

    Args:
        series: how many there are.
        series_bytes: for each of them.
        writer_bytes: for the record of an instance.
        connection_bytes: for the connection of an instance.
    """

    series: int
    series_bytes: float
    writer_bytes: float
    connection_bytes: float


@dataclass(frozen=True, slots=True)
class Scraped:
    """What a scrape takes, from the first command to the last byte.

    Args:
        seconds: of the clock.
        server_s: the processor's time of all servers together.
        size: bytes of the page.
    """

    seconds: float
    server_s: float
    size: int


def measure_batches(url: str, routes: int) -> tuple[BatchCost, ...]:
    """Send batches as instances do, many connections at once, and see what they cost the server."""
    return tuple(_measure(url, routes, size) for size in _SIZES)


def by_size(costs: Sequence[BatchCost], of: Callable[[BatchCost], float]) -> list[float]:
    """Return something of a batch of 0, 1, 2, ... requests, between the measured sizes on a straight line.

    Args:
        costs: what was measured.
        of: what is asked for.

    Example:
        >>> by_size([BatchCost(1, 0, 0, 0, 0, 1.0), BatchCost(3, 0, 0, 0, 0, 2.0)], lambda cost: cost.server_s)
        [0.0, 1.0, 1.5, 2.0]
    """
    values = [0.0] * costs[0].requests + [of(costs[0])]
    for low, high in pairwise(costs):
        span = high.requests - low.requests
        values += [of(low) + (of(high) - of(low)) * step / span for step in range(1, span + 1)]
    return values


def _measure(url: str, routes: int, size: int) -> BatchCost:
    with _senders(url, routes) as (client, senders):
        for _ in range(3):  # the families are announced, and most of the series are there
            _round(senders, size)
        client.config_resetstat()
        before_s, before = _processor_s(client), _sent(senders)
        for _ in range(_ROUNDS):
            _round(senders, size)
        server_s = _processor_s(client) - before_s
        stats = client.info("commandstats")["cmdstat_evalsha"]
        batches = stats["calls"]
        families, series, sent_bytes = (
            (now - then) / batches for now, then in zip(_sent(senders), before, strict=True)
        )
    return BatchCost(size, families, series, sent_bytes, stats["usec"] / batches / 1e6, server_s / batches)


@contextmanager
def _senders(url: str, routes: int) -> Iterator[tuple[Any, list[Sender]]]:
    with redis.Redis.from_url(url) as client:
        client.flushall()
        senders = [Sender(Settings(enabled=True, redis_url=url), routes, number) for number in range(_WRITERS)]
        try:
            yield client, senders
        finally:
            for sender in senders:
                sender.close()


def _round(senders: Sequence[Sender], size: int) -> None:
    """Have all of them send, and then all of them read: the server finds many sockets ready, as it does under load."""
    for sender in senders:
        for _ in range(size):
            sender.traffic.request()
        sender.send()
    for sender in senders:
        sender.receive()


def _sent(senders: Sequence[Sender]) -> tuple[int, int, int]:
    return (
        sum(sender.families for sender in senders),
        sum(sender.series for sender in senders),
        sum(sender.sent_bytes for sender in senders),
    )


def _processor_s(client: Any) -> float:
    told = client.info("cpu")
    return float(told["used_cpu_user"] + told["used_cpu_sys"])


def measure_memory(url: str, routes: int) -> Memory:
    """Fill a shard, and see where the memory goes."""
    with _senders(url, routes) as (client, senders):
        for _ in range(5):
            _round(senders, 1)
        connections = [int(line["tot-mem"]) for line in client.client_list() if line["cmd"] == "evalsha"]
        _fill(senders[0])
        series = held = 0
        for key in client.keys("*:series:*"):
            series += client.hlen(key)
            held += client.memory_usage(key, samples=0)
        before = client.info("memory")["used_memory"]
        with client.pipeline(transaction=False) as pipeline:
            for number in range(_RECORDS):
                pipeline.set(Keys("memory", 0).writer(f"{number:016x}"), "100", ex=WRITER_LEASE_S)
            pipeline.execute()
        # Key, value and both entries in the server's tables, which `MEMORY USAGE` does not count in full.
        writer_bytes = (client.info("memory")["used_memory"] - before) / _RECORDS
    return Memory(series, held / series, writer_bytes, statistics.mean(connections))


def measure_scrape(url: str, routes: int, shards: int) -> Scraped:
    """Fill so many shards with all series, on one server, and read the page."""
    settings = Settings(enabled=True, redis_url=url, shards=shards)
    with redis.Redis.from_url(url) as client:
        client.flushall()
        for shard in range(shards):
            sender = Sender(settings, routes, shard, shard)
            _fill(sender)
            sender.close()
        before_s = _processor_s(client)
        durations_s, size = asyncio.run(_scrape(settings))
        server_s = (_processor_s(client) - before_s) / _SCRAPES
    return Scraped(statistics.median(durations_s), server_s, size)


def _fill(sender: Sender) -> None:
    sender.traffic.everything()
    while sender.pending:
        sender.send()
        sender.receive()


async def _scrape(settings: Settings) -> tuple[list[float], int]:
    store = RedisStore(settings)
    durations_s, size = [], 0
    for _ in range(_SCRAPES):
        started = time.perf_counter()
        scrape = await collect(store, Limits(settings.series_ttl_s))
        size = len(b"".join(text.render(scrape.page.families)))
        durations_s.append(time.perf_counter() - started)
    await store.aclose()
    return durations_s, size
