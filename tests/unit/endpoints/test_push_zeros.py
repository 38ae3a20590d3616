"""The zeros of a push: one before the first value of each new series, whatever becomes of requests and answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary

from lib.kairo_metrics import NativeHistogram
from lib.kairo_metrics.config.push_settings import PROTOCOLS, PushSettings
from lib.kairo_metrics.delivery import process_pipeline
from lib.kairo_metrics.endpoints.push_endpoint import push_endpoint
from lib.kairo_metrics.endpoints.push_mark import receiver_name
from lib.kairo_metrics.exposition.family import Family
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.exposition.remote_write import write_requests, zero_requests
from lib.kairo_metrics.instruments.recorder import RECORDER
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.adopted import adopted_registry
from tests.support.instance import settings
from tests.support.push_settings import SECRET, push_settings
from tests.support.write_receiver import Reply, WriteReceiver, decoded, write_receiver

START_MS = 1_764_000_000_000
Sample = tuple[float, int]


@dataclass
class Pushing:
    """A program whose store has a clock that is moved by hand, and a receiver."""

    receiver: WriteReceiver
    now_ms: int = START_MS
    registry: CollectorRegistry = field(default_factory=adopted_registry)

    def open(self) -> None:
        """Open the process's pipeline on a store of its own."""
        RECORDER.forget()
        process_pipeline.close_pipeline()
        process_pipeline.open_pipeline(settings(), MemoryStore(settings(), lambda: self.now_ms))
        RECORDER.forget()

    async def push(self, *, later_ms: int = 60_000, **changes: Any) -> httpx.Response:
        """Flush, and push this much later, by a function that has just started."""
        opened = process_pipeline.current_pipeline()
        assert opened is not None
        await opened.flusher.aflush()
        self.now_ms += later_ms
        pushes: PushSettings = replace(push_settings(self.receiver.url), **changes)
        transport = httpx.ASGITransport(push_endpoint(opened, settings(), pushes))
        async with httpx.AsyncClient(transport=transport, base_url="http://cms.example.org") as client:
            answer = await client.get("/api/push", headers={"Authorization": f"Bearer {SECRET}"})
        self.now_ms += 1  # what the push counts of itself comes after it
        await opened.flusher.aflush()
        return answer

    def samples(self, name: str) -> list[Sample]:
        """Return the value and the time of each sample of this name that was received so far, in order."""
        return [
            (value, at_ms - START_MS)
            for request in self.receiver.received
            for labels, value, at_ms in request.samples
            if labels["__name__"] == name
        ]


@pytest.fixture
def pushing() -> Iterator[Pushing]:
    """Give a program with a receiver that takes everything."""
    with write_receiver() as receiver:
        pushing = Pushing(receiver)
        pushing.open()
        yield pushing
        process_pipeline.close_pipeline()


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_each_new_series_has_one_zero_when_it_began(pushing: Pushing, protocol: str) -> None:
    """A series born between two pushes is sent at zero, at its own time, before its first value, and never again."""
    way: dict[str, Any] = {"protocol": protocol, "otlp_url": pushing.receiver.url}
    jobs = Counter("jobs", "Jobs.", registry=pushing.registry)
    await pushing.push(**way)
    jobs.inc(5)
    await pushing.push(**way)
    jobs.inc()
    await pushing.push(**way)
    assert pushing.samples("jobs_total") == [(0, 0), (0, 60_000), (5, 120_001), (6, 180_002)]


async def test_only_what_counts_has_a_zero(pushing: Pushing) -> None:
    """Counters and all parts of histograms and summaries have one; gauges, infos and enums have values alone."""
    registry = pushing.registry
    Counter("jobs", "Jobs.", registry=registry).inc(5)
    Histogram("wait", "Wait.", buckets=(1,), registry=registry).observe(0.5)
    Summary("size", "Size.", registry=registry).observe(7)
    NativeHistogram("fine", "Fine.", registry=registry).observe(3)
    Gauge("load", "Load.", multiprocess_mode="sum", registry=registry).set(9)
    Info("build", "Build.", registry=registry).info({"version": "1"})
    Enum("state", "State.", states=["up"], registry=registry).state("up")
    await pushing.push()
    for name in ("jobs_total", "wait_count", "wait_sum", "size_count", "size_sum", "fine"):
        assert [value == 0 for value, _ in pushing.samples(name)] == [True, False], name
        assert [at_ms for _, at_ms in pushing.samples(name)] == [0, 60_000], name
    assert sorted(pushing.samples("wait_bucket")) == [(0, 0), (0, 0), (1, 60_000), (1, 60_000)]
    for name in ("load", "build_info", "state"):
        assert [at_ms for _, at_ms in pushing.samples(name)] == [60_000], name


async def test_a_lost_answer_costs_nothing(pushing: Pushing) -> None:
    """If an answer is lost, the same body comes again: the zeros before any value, and the values after them."""
    Counter("jobs", "Jobs.", registry=pushing.registry).inc(5)
    pushing.receiver._replies[:] = [Reply(0), Reply(), Reply(0), Reply()]
    assert (await pushing.push()).status_code == 200
    assert pushing.samples("jobs_total") == [(0, 0), (0, 0), (5, 60_000), (5, 60_000)]


async def test_values_that_did_not_arrive_have_their_zeros_again(pushing: Pushing) -> None:
    """A push that fails behind the zeros leaves them to the next one, at the same times."""
    Counter("jobs", "Jobs.", registry=pushing.registry).inc(5)
    pushing.receiver._replies[:] = [Reply(), Reply(401)]
    assert (await pushing.push()).status_code == 502
    pushing.receiver._replies[:] = [Reply()]
    pushing.receiver.received.clear()
    assert (await pushing.push()).status_code == 200
    assert pushing.samples("jobs_total") == [(0, 0), (5, 120_001)]


@pytest.mark.parametrize(("protocol", "status"), [("remote-write", 400), ("remote-write-1", 400), ("otlp", 500)])
async def test_a_receiver_that_refused_everything_gets_the_zeros_again(
    pushing: Pushing, protocol: str, status: int
) -> None:
    """Such as during a fault of the receiver: the next push does not take it for one that has the metrics."""
    way: dict[str, Any] = {"protocol": protocol, "otlp_url": pushing.receiver.url}
    Counter("jobs", "Jobs.", registry=pushing.registry).inc(5)
    pushing.receiver._replies[:] = [Reply(status, "no", headers={})]
    assert (await pushing.push(**way)).status_code == 502
    pushing.receiver._replies[:] = [Reply()]
    pushing.receiver.received.clear()
    assert (await pushing.push(**way)).status_code == 200
    assert pushing.samples("jobs_total") == [(0, 0), (5, 120_001)]


async def test_a_refused_zero_is_no_fault(pushing: Pushing) -> None:
    """A receiver that takes no zeros gets the values, the answer is 200, and the refused zeros are counted."""
    Counter("jobs", "Jobs.", registry=pushing.registry).inc(5)
    pushing.receiver._replies[:] = [Reply(400, "out of order sample")] * 3 + [Reply(204)]  # two zeros, then each alone
    answer = await pushing.push()
    assert answer.status_code == 200, answer.text
    assert pushing.samples("jobs_total")[-1] == (5, 60_000)
    pushing.receiver.received.clear()
    await pushing.push()
    counted = {
        labels["outcome"]: value
        for labels, value, _ in decoded(pushing.receiver.received[-1].body)
        if labels["__name__"] == "kairo_pushed_samples_total"
    }
    assert (counted["zero_refused"], counted["refused"]) == (2, 0)


async def test_zeros_that_are_not_confirmed_are_told(pushing: Pushing) -> None:
    """If the receiver fails at the zeros alone, the values are sent all the same, and the caller is told."""
    Counter("jobs", "Jobs.", registry=pushing.registry).inc(5)
    pushing.receiver._replies[:] = [Reply(500), Reply()]
    answer = await pushing.push(timeout_ms=600)
    assert answer.status_code == 502
    assert "zeros before the first values: 127.0.0.1 answered 500" in answer.text
    assert (5, 60_000) in pushing.samples("jobs_total")


async def test_each_receiver_has_its_own_account(pushing: Pushing) -> None:
    """A second receiver gets the zeros that the first one has had; labels and accounts tell receivers apart, too."""
    Counter("jobs", "Jobs.", registry=pushing.registry).inc(5)
    await pushing.push()
    await pushing.push(labels={"job": "another"})
    assert [value for value, _ in pushing.samples("jobs_total")] == [0, 5, 0, 5]
    names = [push_settings(url, **more) for url in ("https://a.example/1", "https://a.example/2") for more in MORE]
    assert len(set(map(receiver_name, names))) == len(names)


MORE: list[dict[str, Any]] = [{}, {"labels": {"job": "b"}}, {"username": "c", "password": "d"}]


async def test_what_a_receiver_without_an_account_gets(pushing: Pushing) -> None:
    """A series that is older than an hour has no zero in the first push: no receiver would take it."""
    Counter("jobs", "Jobs.", registry=pushing.registry).inc(5)
    await pushing.push(later_ms=3_600_001)
    assert [value for value, _ in pushing.samples("jobs_total")] == [5]


JOBS = Schema("jobs", "counter")


@pytest.mark.parametrize(
    ("began_ms", "zeros", "values"),
    [(999, [], [5]), (1_000, [], [5]), (1_001, [1_001], [5]), (9_000, [8_999], [5]), (9_001, [], []), (0, [], [5])],
)
def test_each_series_is_new_to_one_push(began_ms: int, zeros: list[int], values: list[float]) -> None:
    """New is what began after the last push and up to this page; what began later is left to the next push."""
    page = Page((Family(JOBS, {b"": b"5"}, began={b"": began_ms}),), at_ms=9_000)
    sent = [series for request in zero_requests(page, {}, 1_000) for series in request]
    assert [series.at_ms for series in sent] == zeros
    assert [series.value for request in write_requests(page, {}) for series in request] == values


def test_a_series_joined_with_an_older_one_has_no_zero() -> None:
    """Two names that one format prints alike are one series there, which began with the older one."""
    old, new = Schema("to.b", "counter"), Schema("to_b", "counter")
    page = Page((Family(old, {b"": b"3"}, began={b"": 500}), Family(new, {b"": b"4"}, began={b"": 5_000})), at_ms=9_000)
    assert list(zero_requests(page, {}, 1_000)) == []
    [[joined, told]] = write_requests(page, {})
    assert [series.value for series in (joined, told)] == [7, 1]
