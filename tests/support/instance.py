"""One function instance inside the test's process: a recorder, a flusher and a store of its own."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.delivery.flusher import Flusher
from lib.kairo_metrics.errors import StoreError
from lib.kairo_metrics.exposition.negotiate import PLAIN
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.scrape.collector import Limits, collect
from lib.kairo_metrics.scrape.state_reader import StateReader
from lib.kairo_metrics.store.protocol import Store
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.testing.memory_store import MemoryStore

JOBS = Schema("jobs", "counter", ("queue",), help="Jobs done.")
WAIT = Schema("wait_seconds", "histogram", ("queue",), ("0.1", "1.0", "+Inf"), help="Seconds waited.")
_FLUSHES = 400


@dataclass
class Instance:
    """Counts and flushes as a function instance would, without prometheus_client on top."""

    store: Store
    recorder: Recorder
    flusher: Flusher

    def add(self, text: str, amount: float = 1.0, *, schema: Schema = JOBS, index: int = 1) -> None:
        """Add to one number of one series."""
        with self.recorder.lock:
            self.recorder.add(PendingSeries(schema, text), index, amount, weight=amount)

    async def flush_at_last(self) -> None:
        """Flush as later requests would, until the store is there again."""
        for _ in range(_FLUSHES):
            with suppress(StoreError):
                return await self.flusher.aflush()
            await asyncio.sleep(0.05)
        return await self.flusher.aflush()

    async def close(self) -> None:
        """Close what it has opened."""
        if isinstance(self.store, RedisStore):
            await self.store.aclose()


Start = Callable[..., Instance]


def settings(redis_url: str | None = None, **changes: Any) -> Settings:
    """Give settings for a test: metrics on, and a budget that a loaded machine keeps."""
    return Settings(**{"enabled": True, "redis_url": redis_url, "flush_budget_ms": 3_000, **changes})


def redis_instance(redis_url: str, **changes: Any) -> Instance:
    """Start an instance against a real Redis."""
    chosen = settings(redis_url, **changes)
    store = RedisStore(chosen)
    recorder = Recorder()
    return Instance(store, recorder, Flusher(recorder, store, chosen))


def writing_to(shard: int, shards: int, redis_url: str) -> Instance:
    """Start an instance that has drawn this shard."""
    chosen = settings(redis_url, shards=shards)
    store, recorder = RedisStore(chosen), Recorder()
    draw = lambda below: shard if below == shards else secrets.randbelow(below)  # noqa: E731
    return Instance(store, recorder, Flusher(recorder, store, chosen, draw=draw))


def memory_instance(**changes: Any) -> Instance:
    """Start an instance against a store of its own."""
    chosen = settings(**changes)
    store = MemoryStore(chosen)
    recorder = Recorder()
    return Instance(store, recorder, Flusher(recorder, store, chosen))


async def scrape_once(store: Store, chosen: Settings, flusher: Flusher, patience_s: float = 5.0) -> Page:
    """Scrape as the metrics endpoint does, with what it does after its response."""
    reader = StateReader(store, chosen, flusher.aflush)
    page, upkeep = await reader.read_page(time.perf_counter(), patience_s)
    await reader.maintain(upkeep)
    return page


async def page(store: Store, series_ttl_s: int = 3600) -> str:
    """Render what a scrape would see."""
    scrape = await collect(store, Limits(series_ttl_s))
    return b"".join(PLAIN.render(scrape.page)).decode()


async def samples(store: Store, prefix: str) -> dict[str, float]:
    """Give the samples whose line begins so, by everything before the value."""
    lines = (line for line in (await page(store)).splitlines() if line.startswith(prefix) and line[0] != "#")
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def happened(store: Store, prefix: str) -> dict[str, float]:
    """Give the samples as `samples` does, but for those at zero: what the page only says has not happened."""
    return {name: value for name, value in (await samples(store, prefix)).items() if value}


async def jobs_total(instance: Instance) -> float:
    """Read from the store itself what the queue `a` has added up to."""
    return (await samples(instance.store, "jobs_total")).get('jobs_total{queue="a"}', 0.0)
