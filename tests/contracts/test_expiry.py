"""Series, families and keys that are no longer updated leave the page and the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary

from lib.kairo_metrics import NativeHistogram
from lib.kairo_metrics.exposition.negotiate import PLAIN
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.store_interface import Store
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import scrape_once, settings
from tests.support.program import Program
from tests.support.store_clock import age_state

TTL_S = 3_600
DAY_MS = 24 * 3_600 * 1_000


class Deployment:
    """Instances on one store, and its clock."""

    def __init__(self, store: Store, redis_client: Any = None) -> None:  # redis-py types replies as bytes or str
        self.settings = store._settings  # type: ignore[attr-defined]
        self.store = store
        self._redis = redis_client
        self.now_ms = int(time.time() * 1000)

    def start(self) -> Program:
        """Start an instance."""
        return Program(self.store, self.settings, "1")

    def scrape(self, program: Program) -> str:
        """Scrape, and let the scrape remove what has expired."""

        async def take() -> str:
            with program.running():
                taken = await scrape_once(self.store, self.settings, program._flusher)
            if isinstance(self.store, RedisStore):
                await self.store.aclose()
            return b"".join(PLAIN.render(taken)).decode()

        return asyncio.run(take())

    def age(self, by_ms: int = DAY_MS) -> None:
        """Move the clock of the memory store; in Redis, whose clock can't be moved, make everything older instead."""
        if self._redis is None:
            self.now_ms += by_ms
            return
        age_state(self._redis, by_ms)


@pytest.fixture(params=["memory", "redis"])
def deployment(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """Give a deployment on each kind of store."""
    if request.param == "memory":
        chosen = settings(series_ttl_s=TTL_S, max_series=5)
        found = Deployment(MemoryStore(chosen, lambda: found.now_ms))
        yield found
        return
    chosen = settings(request.getfixturevalue("redis_url"), series_ttl_s=TTL_S, max_series=5)
    yield Deployment(RedisStore(chosen), request.getfixturevalue("redis_client"))


def jobs(page: str) -> list[str]:
    """Return the lines of the counter."""
    return [line for line in page.splitlines() if line.startswith("jobs_total")]


def test_an_idle_series_makes_room(deployment: Deployment) -> None:
    """In a family that is in use, idle series leave the page and then the store, so that the cap is free for others."""
    program = deployment.start()
    with program.running():
        counter = Counter("jobs", "Jobs.", ["queue"], registry=program.registry)
        for queue in "abcde":
            counter.labels(queue).inc()
    program.flush()
    deployment.age()
    with program.running():
        counter.labels("a").inc()
    program.flush()
    assert jobs(deployment.scrape(program)) == ['jobs_total{queue="a"} 1']
    with program.running():
        for queue in "fghi":
            counter.labels(queue).inc()
    program.flush()
    page = deployment.scrape(program)
    assert sorted(jobs(page)) == [f'jobs_total{{queue="{queue}"}} 1' for queue in "afghi"]
    assert 'kairo_samples_overflowed_total{family="jobs"} 0' in page


def test_a_store_that_stalls_during_removal_costs_no_page() -> None:
    """The page is served from what was read, even if the store stops answering before it has removed old series."""

    class Stalling(MemoryStore):
        @asynccontextmanager
        async def client(self) -> AsyncIterator[Any]:
            if self.stalls:
                await asyncio.sleep(3_600)
            async with super().client() as link:
                yield link

        stalls = False

    store = Stalling(settings(series_ttl_s=TTL_S), lambda: found.now_ms)
    found = Deployment(store)
    program = found.start()
    with program.running():
        counter = Counter("jobs", "Jobs.", ["queue"], registry=program.registry)
        for queue in "ab":
            counter.labels(queue).inc()
    program.flush()
    found.age()
    with program.running():
        counter.labels("a").inc()
    program.flush()
    store.stalls = True

    async def take() -> str:
        taken = await scrape_once(store, found.settings, program._flusher, patience_s=0.3)
        return b"".join(PLAIN.render(taken)).decode()

    with program.running():
        assert jobs(asyncio.run(take())) == ['jobs_total{queue="a"} 1']


def test_a_series_that_comes_back_starts_from_zero(deployment: Deployment) -> None:
    """An expired series that is counted again starts from zero, whether the store had already removed it or not."""
    program = deployment.start()
    with program.running():
        counter = Counter("jobs", "Jobs.", registry=program.registry)
        counter.inc(100)
    program.flush()
    deployment.age()
    with program.running():
        counter.inc()
    program.flush()
    assert jobs(deployment.scrape(program)) == ["jobs_total 1"]


def test_an_unused_family_leaves_the_index(deployment: Deployment) -> None:
    """A metric that is no longer counted is removed from the index; if it is counted again, it is announced again."""
    program = deployment.start()
    with program.running():
        counter = Counter("jobs", "Jobs.", registry=program.registry)
        counter.inc()
    program.flush()
    deployment.age()
    deployment.scrape(program)  # removes the series
    deployment.scrape(program)  # and then the family
    snapshot = asyncio.run(_names(deployment.store))
    assert "jobs" not in snapshot
    with program.running():
        counter.inc()
    program.flush()
    assert jobs(deployment.scrape(program)) == ["jobs_total 1"]


async def _names(store: Store) -> set[str]:
    snapshot = await store.snapshot()
    if isinstance(store, RedisStore):
        await store.aclose()
    return {entry.schema.name for entry in snapshot.entries}


def test_every_key_has_a_time_to_live(redis_url: str, redis_client: Any) -> None:
    """After writes, scrapes, folds and removals every key has a time to live, so an idle namespace vanishes."""
    chosen = settings(redis_url, series_ttl_s=TTL_S, instance_lease_s=300, max_series=3, shards=4)
    store = RedisStore(chosen)
    for number in range(8):
        program = Program(store, chosen, str(number))
        with program.running():
            registry = program.registry
            counter = Counter("jobs", "Jobs.", ["queue"], registry=registry)
            for queue in "abcdef":
                counter.labels(queue).inc(1, {"trace_id": "x"})
            counter.remove("a")
            Histogram("wait", "Wait.", registry=registry).observe(1, {"trace_id": "x"})
            NativeHistogram("size", "Size.", registry=registry).observe(1)
            Summary("sum", "Sum.", registry=registry).observe(1)
            Info("build", "Build.", registry=registry).info({"version": "1"})
            Enum("phase", "Phase.", states=["a", "b"], registry=registry).state("b")
            for mode in ("all", "livesum", "sum", "mostrecent", "max"):
                Gauge(f"g_{mode}", "G.", multiprocess_mode=mode, registry=registry).set(1)
        program.flush()
    age_state(redis_client, 400_000)
    Deployment(store).scrape(program)
    keys = redis_client.keys("*")
    kinds = {key.split(b":")[3] for key in keys}
    assert kinds == {b"families", b"series", b"shards", b"writer"}
    assert {key for key in keys if not 0 < redis_client.pttl(key) <= TTL_S * 1125} == set()
