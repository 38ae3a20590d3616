"""Values of ours take the place of prometheus_client's while threads count: nothing is lost, nothing counts twice."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from lib.kairo_metrics.instruments.adoption import adopt
from tests.support.recording import Recording

THREADS = """
import asyncio, sys, threading
from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Summary
from lib.kairo_metrics import Settings, flush
from lib.kairo_metrics.delivery.process_pipeline import open_pipeline
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import samples

THREADS, ROUNDS = 8, 60
sys.setswitchinterval(1e-6)
kinds = range(10)
counters = [Counter(f"jobs_{n}_total", "J.", ["kind"]) for n in kinds]
histograms = [Histogram(f"sizes_{n}", "S.", buckets=(1, 2)) for n in kinds]
summaries = [Summary(f"waits_{n}", "W.") for n in kinds]
gauges = [Gauge(f"open_{n}", "O.", multiprocess_mode="sum") for n in kinds]
settings = Settings(enabled=True)
store, barrier = MemoryStore(settings), threading.Barrier(THREADS)

def work(number):
    barrier.wait(30)
    for turn in range(ROUNDS):
        if turn == ROUNDS // 3 + number:
            open_pipeline(settings, store)
        for n in kinds:
            counters[n].labels("a").inc()
            histograms[n].observe(1.5)
            summaries[n].observe(2)
            gauges[n].inc()

threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
flush()
page, total = asyncio.run(samples(store, "")), THREADS * ROUNDS
for n in kinds:
    for name, labels, text, expected in (
        (f"jobs_{n}_total", {"kind": "a"}, '{kind="a"}', total),
        (f"sizes_{n}_bucket", {"le": "2.0"}, '{le="2.0"}', total),
        (f"sizes_{n}_sum", {}, "", 1.5 * total),
        (f"waits_{n}_count", {}, "", total),
        (f"waits_{n}_sum", {}, "", 2 * total),
        (f"open_{n}", {}, "", total),
    ):
        found = REGISTRY.get_sample_value(name, labels), page[f"{name}{text}"]
        assert found == (expected, expected), (name, found, expected)
"""


def test_eight_threads_that_instrument_and_count_at_once_lose_nothing() -> None:
    """The process's own registry and the page have each increment of eight threads once, also those of the set-up."""
    subprocess.run([sys.executable, "-c", THREADS], check=True, timeout=120)


async def test_a_thread_on_its_way_into_the_old_value_is_counted_once(recording: Recording) -> None:
    """A thread that found prometheus_client's value, and waits for its lock while ours takes its place, is counted."""
    registry = CollectorRegistry()
    jobs = Counter("late_jobs", "J.", registry=registry)
    jobs.inc(3)
    old: Any = jobs._value
    lock, inside, go_on = old._lock, threading.Event(), threading.Event()

    class Waiting:
        """The old value's lock, which the thread gets only after the set-up."""

        def __enter__(self) -> None:
            inside.set()
            assert go_on.wait(30)
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()

    old._lock = Waiting()
    late = threading.Thread(target=jobs.inc, args=(10,))
    late.start()
    assert inside.wait(30)
    old._lock = lock
    adopt(registry)
    jobs.inc(100)
    go_on.set()
    late.join()
    old.inc(1_000)
    assert old.get() == jobs._value.get() == 1_113
    assert await recording.samples("late_jobs_total") == {"late_jobs_total": 1_113}


@pytest.mark.parametrize("mode", ["sum", "max", "mostrecent"])
async def test_a_late_setting_is_the_last_one(recording: Recording, mode: Any) -> None:
    """A gauge that a thread sets through its old value has that value, and not one added to it."""
    registry = CollectorRegistry()
    load = Gauge("late_load", "L.", multiprocess_mode=mode, registry=registry)
    load.set(3)
    old: Any = load._value
    adopt(registry)
    old.set(5)
    old._value = 7.0  # as `MutexValue.set` does for a thread that was inside
    assert old._value == old.get() == load._value.get() == 7
    assert list((await recording.samples("late_load")).values()) == [7]


async def test_exemplars_are_carried_over(recording: Recording) -> None:
    """The exemplar that a counter or a bucket had before it was adopted is still its exemplar."""
    registry = CollectorRegistry()
    jobs = Counter("traced_jobs", "J.", registry=registry)
    sizes = Histogram("traced_sizes", "S.", buckets=(1,), registry=registry)
    jobs.inc(1, {"trace_id": "a"})
    sizes.observe(0.5, {"trace_id": "b"})
    adopt(registry)
    late: Any = jobs._value
    assert late.get_exemplar().labels == {"trace_id": "a"}
    assert sizes._buckets[0].get_exemplar().labels == {"trace_id": "b"}
    await recording.pipeline.flusher.aflush()
    snapshot = await recording.store.snapshot()
    assert sum(entry.schema.type == "exemplars" for entry in snapshot.entries) == 2
