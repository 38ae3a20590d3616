"""One function instance inside the test's process, with its own recorder, flusher and store."""

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
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.store_interface import Store
from lib.kairo_metrics.testing.memory_store import MemoryStore

JOBS = Schema("jobs", "counter", ("queue",), help="Jobs done.")
WAIT = Schema("wait_seconds", "histogram", ("queue",), ("0.1", "1.0", "+Inf"), help="Seconds waited.")
_FLUSHES = 400


@dataclass
class Instance:
    """Counts and flushes as a function instance does, without prometheus_client on top."""

    store: Store
    recorder: Recorder
    flusher: Flusher

    def add(self, text: str, amount: float = 1.0, *, schema: Schema = JOBS, index: int = 1) -> None:
        """Increment one series."""
        with self.recorder.lock:
            self.recorder.add(PendingSeries(schema, text), index, amount, weight=amount)

    async def flush_at_last(self) -> None:
        """Flush as later requests would, until the store answers again."""
        for _ in range(_FLUSHES):
            with suppress(StoreError):
                return await self.flusher.aflush()
            await asyncio.sleep(0.05)
        return await self.flusher.aflush()

    async def close(self) -> None:
        """Close its connections, once a flush that a test has left behind is done with its own."""
        if flush := self.flusher._flushes.get(asyncio.get_running_loop()):
            await asyncio.wait({flush})
        if isinstance(self.store, RedisStore):
            await self.store.aclose()


Start = Callable[..., Instance]


def settings(redis_url: str | None = None, **changes: Any) -> Settings:
    """Give settings for a test: metrics on, and a time budget that a busy machine keeps."""
    return Settings(**{"enabled": True, "redis_url": redis_url, "flush_budget_ms": 3_000, **changes})


def redis_instance(redis_url: str, **changes: Any) -> Instance:
    """Start an instance on a real Redis."""
    chosen = settings(redis_url, **changes)
    store = RedisStore(chosen)
    recorder = Recorder()
    return Instance(store, recorder, Flusher(recorder, store, chosen))


def writing_to(shard: int, shards: int, redis_url: str) -> Instance:
    """Start an instance that writes to this shard."""
    chosen = settings(redis_url, shards=shards)
    store, recorder = RedisStore(chosen), Recorder()
    draw = lambda below: shard if below == shards else secrets.randbelow(below)  # noqa: E731
    return Instance(store, recorder, Flusher(recorder, store, chosen, draw=draw))


def memory_instance(**changes: Any) -> Instance:
    """Start an instance with its own memory store."""
    chosen = settings(**changes)
    store = MemoryStore(chosen)
    recorder = Recorder()
    return Instance(store, recorder, Flusher(recorder, store, chosen))


async def scrape_once(store: Store, chosen: Settings, flusher: Flusher, patience_s: float = 5.0) -> Page:
    """Scrape as the metrics endpoint does, including the work after its response."""
    reader = StateReader(store, chosen, flusher.aflush)
    page, upkeep = await reader.read_page(time.perf_counter(), patience_s)
    await reader.maintain(upkeep)
    return page


async def page(store: Store, series_ttl_s: int = 3600) -> str:
    """Scrape, and return the page."""
    scrape = await collect(store, Limits(series_ttl_s))
    return b"".join(PLAIN.render(scrape.page)).decode()


async def samples(store: Store, prefix: str) -> dict[str, float]:
    """Return the samples whose line begins with this prefix: the text before the value, and the value."""
    lines = (line for line in (await page(store)).splitlines() if line.startswith(prefix) and line[0] != "#")
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def nonzero_samples(store: Store, prefix: str) -> dict[str, float]:
    """Return the samples as `samples` does, without those at zero."""
    return {name: value for name, value in (await samples(store, prefix)).items() if value}


async def jobs_total(instance: Instance) -> float:
    """Read the total of the queue `a` from the store."""
    return (await samples(instance.store, "jobs_total")).get('jobs_total{queue="a"}', 0.0)
