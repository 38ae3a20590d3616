"""Writers and pages on a Redis that is reset to an earlier state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lib.kairo_metrics.exposition.negotiate import PLAIN
from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.model import recovery
from lib.kairo_metrics.model.native_counts import NativeCounts
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.scrape.rollback import high_water
from lib.kairo_metrics.scrape.state_reader import StateReader
from tests.support.instance import WAIT, Instance, Start, settings

__all__ = ["A", "Disk", "Page", "Site", "add", "end_recovery"]

SIZE = Schema("size", "native", ("queue",), ("1.0", "+Inf"), help="Sizes.")
SHARES = Schema("shares", "gauge", ("queue",), mode="sum", help="Shares held.")
A = 'jobs_total{queue="a"}'


class Disk:
    """A snapshot of a Redis: all keys, with their remaining time to live."""

    def __init__(self, client: Any) -> None:  # redis-py types replies as bytes or str
        self._client = client
        self._keys = {key: (client.dump(key), max(0, client.pttl(key))) for key in client.scan_iter()}

    def load(self) -> None:
        """Load the snapshot into Redis, as a restart does."""
        self._client.flushall()
        for key, (dump, left_ms) in self._keys.items():
            self._client.restore(key, left_ms, dump)


class Page:
    """A function that serves the page, and stays warm from one scrape to the next.

    Attributes:
        zero_s: seconds for which it shows new series at zero.
    """

    def __init__(self, instance: Instance) -> None:
        self.zero_s = 0
        self._store: Any = instance.store
        self._reader = StateReader(instance.store, settings(), instance.flusher.aflush)

    async def __call__(self, *names: str) -> dict[str, float]:
        """Scrape; return the samples."""
        page, upkeep = await self._reader.read_page(time.perf_counter(), 5, frozenset(names), zero_s=self.zero_s)
        await self._reader.maintain(upkeep)
        lines = b"".join(PLAIN.render(page)).decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    async def read_slowly(self) -> tuple[asyncio.Task[dict[str, float]], asyncio.Event]:
        """Start a scrape that has read everything, and goes on when the event is set."""
        scan, has_read, go_on = self._store.scan, asyncio.Event(), asyncio.Event()

        async def slow_scan(entries: Any) -> AsyncIterator[Any]:
            found = [chunk async for chunk in scan(entries)]
            has_read.set()
            await go_on.wait()
            for chunk in found:
                yield chunk

        self._store.scan = slow_scan
        scrape = asyncio.create_task(self())
        await has_read.wait()
        self._store.scan = scan
        return scrape, go_on


class Site:
    """Writers, and functions that serve the page, on one Redis."""

    def __init__(self, start: Start, redis_url: str, client: Any) -> None:
        self._start, self._redis_url = start, redis_url
        self.client = client
        self.shards = 1

    def writer(self) -> Instance:
        return self._start(self._redis_url, shards=self.shards)

    def page(self) -> Page:
        return Page(self.writer())

    def disk(self) -> Disk:
        return Disk(self.client)


async def add(instance: Instance, times: int = 1) -> None:
    """Use each family this number of times, once per batch: a job, a wait in the second bucket, a size, a share."""
    for _ in range(times):
        instance.add('queue="a"')
        instance.add('queue="a"', 1.0, schema=WAIT, index=3)
        instance.add('queue="a"', 0.5, schema=WAIT, index=1)
        observed = NativeCounts(3, 0.001)
        observed.observe(2.0)
        with instance.recorder.lock:
            instance.recorder.observe(PendingSeries(SIZE, 'queue="a"'), observed, 160, weight=1.0)
        instance.add('queue="a"', schema=SHARES)
        await instance.flusher.aflush()


def end_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    """End the recovery: pages no longer wait for instances to send their state again."""
    for module in (high_water, recovery):
        monkeypatch.setattr(module, "RECOVERY_MS", 0)
