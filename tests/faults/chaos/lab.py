"""The setup for a fault: instances, a Redis and a proxy between them, with everything random from a seed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.delivery.flusher import Flusher
from lib.kairo_metrics.errors import StoreError
from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.model.native_counts import NativeCounts
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.faults.chaos.books import JOBS, LATEST, PAUSE, SHARES, SIZE, WAIT, Books
from tests.support.instance import samples, settings
from tests.support.proxy import Proxy
from tests.support.redis_process import RedisProcess

__all__ = ["WAYS", "Conditions", "Lab", "LabInstance", "Way"]

Way = Literal["async", "blocking"]
WAYS: tuple[Way, ...] = ("async", "blocking")
# Not database 0, so that each connection begins with a SELECT that can be cut, too.
_DATABASE = 1
_LAST_DELIVERY_S = 120.0
_BOUNDS = (1.0, 4.0)
_SECONDS = (0.5, 2.0, 9.0)  # exact in binary, so that sums can be compared exactly
_QUEUES = 5


@dataclass(frozen=True, slots=True)
class Conditions:
    """The parameters of a run.

    Args:
        way: how instances flush.
        shards: the number of shards; with more than one there are three instances.
        budget_ms: the budget of a flush.
        thorough: whether a fault runs in full, and not as a sample.
    """

    way: Way = "async"
    shards: int = 1
    budget_ms: int = 3_000
    thorough: bool = False


class LabInstance:
    """One instance: its own recorder, flusher and connections, with ids from the lab's random numbers.

    Args:
        lab: the lab that it belongs to.
    """

    def __init__(self, lab: Lab) -> None:
        self.recorded = 0
        self._lab = lab
        self._recorder = Recorder()
        self._store = RedisStore(lab.settings)
        self._series: dict[tuple[str, str], PendingSeries] = {}
        self.flusher = Flusher(self._recorder, self._store, lab.settings, draw=lab.chance.randrange)

    def record(self) -> None:
        """Record what a request does: count, observe, and set a gauge."""
        chance, books, recorder = self._lab.chance, self._lab.books, self._recorder
        queue, amount, seconds = f'queue="{chance.randrange(_QUEUES)}"', chance.randrange(1, 4), chance.choice(_SECONDS)
        self.recorded += 1
        self._lab.last_set = float(self._lab.recorded)
        observed = NativeCounts(3, 0.001)
        observed.observe(seconds)
        with recorder.lock:
            recorder.add(self._one(JOBS, queue), 1, amount, weight=amount)
            recorder.add(self._one(WAIT, queue), 1, seconds)
            recorder.add(self._one(WAIT, queue), 2 + sum(seconds > bound for bound in _BOUNDS), 1.0, weight=1.0)
            recorder.add(self._one(PAUSE), 1, 1.0, weight=1.0)
            recorder.add(self._one(PAUSE), 2, seconds)
            recorder.observe(self._one(SIZE), observed, 16, weight=1.0)
            recorder.add(self._one(SHARES), 1, 1.0, weight=1.0)
            recorder.replace(self._one(LATEST), self._lab.last_set)
        buckets = {f'wait_bucket{{{queue},le="{le}"}}': float(seconds <= float(le)) for le in WAIT.bounds}
        books.record("jobs", amount, {f"jobs_total{{{queue}}}": amount})
        books.record("wait", 1, {f"wait_count{{{queue}}}": 1, f"wait_sum{{{queue}}}": seconds, **buckets})
        books.record("pause", 1, {"pause_count": 1, "pause_sum": seconds})
        books.record("size", 1, {"size_count": 1, "size_sum": seconds})
        books.record("shares", 1, {"shares": 1})

    def _one(self, schema: Schema, text: str = "") -> PendingSeries:
        return self._series.setdefault((schema.name, text), PendingSeries(schema, text))

    def flush(self) -> bool:
        """Flush once, in the lab's way; return whether it succeeded."""
        try:
            if self._lab.way == "async":
                self._lab.run(self.flusher.aflush())
            else:
                self.flusher.flush()
        except StoreError:
            return False
        return True

    def deliver(self) -> None:
        """Flush until nothing is pending."""
        deadline_s = time.monotonic() + _LAST_DELIVERY_S
        while self.flusher.pending:
            if not self.flush():
                assert time.monotonic() < deadline_s, "what is pending can't be delivered"
                time.sleep(0.01)

    def close(self) -> None:
        """Close its connections."""
        self._lab.run(self._store.aclose())


class Lab:
    """The setup for one run of a fault.

    Args:
        server: a private Redis, which is emptied.
        proxy: between Redis and the instances.
        chance: the random numbers.
        conditions: the parameters of the run.
        tick: called with the share that is done.
    """

    def __init__(
        self,
        server: RedisProcess,
        proxy: Proxy,
        chance: Random,
        conditions: Conditions,
        tick: Callable[[float], None] = lambda _share: None,
    ) -> None:
        self.server, self.proxy, self.chance, self.tick = server, proxy, chance, tick
        self.way, self.thorough = conditions.way, conditions.thorough
        self.books = Books()
        self.last_set: float | None = None
        self.settings = settings(
            proxy.url.replace("/0", f"/{_DATABASE}"),
            shards=conditions.shards,
            flush_budget_ms=conditions.budget_ms,
            instance_lease_s=3_600,
        )
        self._runner = asyncio.Runner()
        self.run = self._runner.run
        server.client.flushall()
        server.client.script_flush()
        server.save()  # so that no snapshot of an earlier fault is loaded
        self._others: list[RedisProcess] = []
        self.instances: list[LabInstance] = []
        for _ in range(1 if conditions.shards == 1 else 3):
            self.start()

    @property
    def reading(self) -> Settings:
        """The settings for reading without the proxy."""
        return self.settings.changed(redis_url=self.server.url.replace("/0", f"/{_DATABASE}"))

    @property
    def recorded(self) -> int:
        """The number of requests of all instances."""
        return sum(instance.recorded for instance in self.instances)

    @property
    def chosen(self) -> LabInstance:
        """A random instance."""
        return self.chance.choice(self.instances)

    def start(self) -> LabInstance:
        """Start one more instance."""
        self.instances.append(LabInstance(self))
        return self.instances[-1]

    def start_server(self, folder: Path) -> RedisProcess:
        """Start another Redis, which ends with the lab."""
        self._others.append(RedisProcess(folder))
        return self._others[-1]

    def rounds(self, times: int = 1) -> None:
        """Let each instance serve this number of requests, each delivered in its own batch."""
        for _ in range(times):
            for instance in self.instances:
                instance.record()
                instance.deliver()

    def balance(self, *, may_lose: bool) -> Books:
        """Deliver what is pending, and compare with the page."""
        # One round lets each instance notice that the store went back; the next one delivers the count of what is lost.
        self.rounds(2)
        for instance in self.instances:
            instance.deliver()
        store = RedisStore(self.reading)

        async def read() -> dict[str, float]:
            try:
                return await samples(store, "")
            finally:
                await store.aclose()

        if self.settings.shards > 1:
            used = sorted({instance.flusher._outbox.writer.shard for instance in self.instances})
            self.books.facts.append(f"instances on the shards {used}")
        last_set = self.last_set if len(self.instances) == 1 else None
        self.books.read(self.run(read()), may_lose=may_lose, last_set=last_set)
        return self.books

    def close(self) -> None:
        """Close the instances."""
        with suppress(StoreError):
            for instance in self.instances:
                instance.close()
        self._runner.close()
        for other in self._others:
            other.close()
