"""The inputs of the simulation, measured with a real Redis: time, bytes and memory."""

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
from lib.kairo_metrics.model.batch import WRITER_LEASE_S
from lib.kairo_metrics.scrape.collector import Limits, collect
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
    """The average cost of a batch.

    Args:
        requests: the number of requests in the batch.
        families: the number of families that it changes.
        series: the number of series that it changes.
        sent_bytes: the size of the command.
        script_s: the time of the script, from `INFO commandstats`.
        server_s: the processor time of the whole server, which also reads, parses and replies.
    """

    requests: int
    families: float
    series: float
    sent_bytes: float
    script_s: float
    server_s: float


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory that the server uses.

    Args:
        series: the number of series.
        series_bytes: bytes of one series.
        writer_bytes: bytes of the record of one instance.
        connection_bytes: bytes of the connection of one instance.
    """

    series: int
    series_bytes: float
    writer_bytes: float
    connection_bytes: float


@dataclass(frozen=True, slots=True)
class Scraped:
    """The cost of a scrape, from the first command to the last byte.

    Args:
        seconds: the duration.
        server_s: the processor time of all servers together.
        size: the size of the page in bytes.
    """

    seconds: float
    server_s: float
    size: int


def measure_batches(url: str, routes: int) -> tuple[BatchCost, ...]:
    """Send batches as instances do, on many connections at once, and measure their cost in the server."""
    return tuple(_measure(url, routes, size) for size in _SIZES)


def by_size(costs: Sequence[BatchCost], of: Callable[[BatchCost], float]) -> list[float]:
    """Return one cost of a batch of 0, 1, 2, ... requests, interpolated between the measured sizes.

    Args:
        costs: the measured costs.
        of: returns the cost that is wanted, such as `server_s`.

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
        for _ in range(3):  # to announce the families, and create most of the series
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
    """Let all senders send before any of them reads, so that the server finds many sockets ready, as under load."""
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
    info = client.info("cpu")
    return float(info["used_cpu_user"] + info["used_cpu_sys"])


def measure_memory(url: str, routes: int) -> Memory:
    """Fill a shard, and measure the memory that it uses."""
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
        # Measured in total, because `MEMORY USAGE` does not count the entries in the server's tables in full.
        writer_bytes = (client.info("memory")["used_memory"] - before) / _RECORDS
    return Memory(series, held / series, writer_bytes, statistics.mean(connections))


def measure_scrape(url: str, routes: int, shards: int) -> Scraped:
    """Fill some shards on one server with all series, and read the page."""
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
