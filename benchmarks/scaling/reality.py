"""Compares the simulation with a small measurement: real flushers and a real Redis, with a delay between them."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from benchmarks.scaling.model import Load, Outcome, simulate
from benchmarks.scaling.traffic import Traffic
from lib.kairo_metrics import Settings
from lib.kairo_metrics.delivery.flusher import Flusher
from lib.kairo_metrics.model.batch import Batch, Verdict, Writer
from lib.kairo_metrics.store.command_flow import Command, CommandFlow
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.store_interface import Store
from lib.kairo_metrics.store.transports import AsyncTransport, SyncTransport

__all__ = ["Comparison", "compare"]

_INSTANCES = 50
_PER_INSTANCE_PER_S = 20.0
_DISTANCE_S = 0.05
_ALONE = 20


@dataclass(frozen=True, slots=True)
class Comparison:
    """The prediction and the measurement.

    Args:
        load: the load of both.
        rows: name, predicted number and measured number.
        client_s: the processor time of an instance for one request: recording, and its share of the flush.
    """

    load: Load
    rows: tuple[tuple[str, float, float], ...]
    client_s: float

    @property
    def factor(self) -> float:
        """The largest factor between a predicted and a measured number."""
        return max(max(predicted / seen, seen / predicted) for _, predicted, seen in self.rows)


def compare(url: str, routes: int, service_s: Sequence[float], seconds: float = 6.0) -> Comparison:
    """Run real instances for some seconds, and the simulation for the same time.

    Args:
        url: the address of Redis.
        routes: the number of routes of the watched program.
        service_s: the time of a server for a batch, as for `simulate`.
        seconds: the duration of both.
    """
    alone_s, waits_s, seen_batches, client_s = asyncio.run(_run(url, routes, seconds))
    load = Load(
        _INSTANCES,
        _INSTANCES * _PER_INSTANCE_PER_S,
        round_trip_s=alone_s - service_s[1],
        seconds=seconds,
        warm_up_s=0.0,
    )
    predicted: Outcome = simulate(load, service_s)
    seen = len(waits_s)
    return Comparison(
        load,
        (
            ("batches/s", predicted.batches / seconds, seen_batches / seconds),
            ("requests per batch", predicted.requests_per_batch, seen / seen_batches),
            ("mean wait, ms", statistics.mean(predicted.waits_s) * 1e3, statistics.mean(waits_s) * 1e3),
        ),
        client_s,
    )


async def _run(url: str, routes: int, seconds: float) -> tuple[float, list[float], int, float]:
    settings = Settings(enabled=True, redis_url=url, flush_budget_ms=10_000)
    store = _Distant(RedisStore(settings))
    traffics = [Traffic(random.Random(number), routes) for number in range(_INSTANCES)]
    # The cast is safe: a flusher uses only the methods that `_Distant` has.
    flushers = [Flusher(traffic.recorder, cast(Store, store), settings) for traffic in traffics]
    for traffic, flusher in zip(traffics, flushers, strict=True):  # to connect, and announce the families
        traffic.everything()
        await flusher.aflush()
    alone_s = []
    for _ in range(_ALONE):
        traffics[0].request()
        started = time.perf_counter()
        await flushers[0].aflush()
        alone_s.append(time.perf_counter() - started)
    waits_s: list[float] = []

    async def one(number: int) -> None:
        ended = time.perf_counter()
        await flushers[number].after_response()
        waits_s.append(time.perf_counter() - ended)

    store.commands = 0
    chance, running = random.Random(1), set()
    started, worked = time.perf_counter(), time.process_time()
    due = started
    while (due := due + chance.expovariate(_INSTANCES * _PER_INSTANCE_PER_S)) < started + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        number = chance.randrange(_INSTANCES)
        traffics[number].request()
        task = asyncio.create_task(one(number))
        running.add(task)
        task.add_done_callback(running.discard)
    while running:
        await asyncio.wait(set(running))
    client_s = (time.process_time() - worked) / len(waits_s)
    await store.aclose()
    return statistics.median(alone_s), waits_s, store.commands, client_s


class _Distant:
    """A store behind a network."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self.commands = 0

    @property
    def is_loaded(self) -> bool:
        return self._store.is_loaded

    def load(self) -> None:
        self._store.load()

    def apply(self, writer: Writer, batch: Batch) -> CommandFlow[Verdict]:
        return self._store.apply(writer, batch)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncTransport]:
        async with self._store.client() as link:
            yield _DistantLink(self, link)

    def sync_client(self) -> AbstractContextManager[SyncTransport]:
        return self._store.sync_client()

    async def aclose(self) -> None:
        await self._store.aclose()


class _DistantLink:
    def __init__(self, store: _Distant, link: AsyncTransport) -> None:
        self._store = store
        self._link = link

    @property
    def sent(self) -> int:
        return self._link.sent

    async def call(self, *commands: Command) -> list[Any]:
        self._store.commands += len(commands)
        await asyncio.sleep(_DISTANCE_S / 2)
        replies = await self._link.call(*commands)
        await asyncio.sleep(_DISTANCE_S / 2)
        return replies
