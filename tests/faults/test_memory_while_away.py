"""During an outage of any length an instance does not grow, and what it drops is counted."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from lib.kairo_metrics.delivery import outbox as outbox_module
from lib.kairo_metrics.delivery.flusher import Flusher
from lib.kairo_metrics.delivery.outbox import _KEPT
from lib.kairo_metrics.errors import StoreUnavailable
from lib.kairo_metrics.instruments import recorder as recorder_module
from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.model.batch import Batch, Verdict, Writer
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.store.command_flow import CommandFlow
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import JOBS, WAIT, Instance, nonzero_samples, settings

LATEST = Schema("latest", "gauge", mode="mostrecent")
QUEUES = 20


class Away(MemoryStore):
    """A store that can be unreachable."""

    is_away = False

    def apply(self, writer: Writer, batch: Batch) -> CommandFlow[Verdict]:
        """Apply the batch, or raise if the store is unreachable."""
        if self.is_away:
            raise StoreUnavailable("away")
        return (yield from super().apply(writer, batch))


class Follower:
    """A gauge that follows a function."""

    family = LATEST.name

    def __init__(self, recorder: Recorder) -> None:
        self.series = PendingSeries(LATEST, "")
        self._recorder = recorder

    def sample(self) -> None:
        """Set the gauge."""
        with self._recorder.lock:
            self._recorder.replace(self.series, 7.0)


class Busy(Instance):
    """An instance that uses a bounded number of series in every way."""

    def __init__(self) -> None:
        chosen = settings()
        self.away = Away(chosen)
        super().__init__(self.away, recorder := Recorder(), Flusher(recorder, self.away, chosen))
        self._follower = Follower(recorder)
        recorder.follow(self._follower)
        self._series: dict[str, PendingSeries] = {}
        self._requests = 0

    def serve(self, requests: int) -> None:
        """Serve this number of requests, and try to flush after each."""
        for _ in range(requests):
            self._requests += 1
            queue = f'queue="{self._requests % QUEUES}"'
            counted, waited = self._one(JOBS, queue), self._one(WAIT, queue)
            with self.recorder.lock:
                self.recorder.add(counted, 1, 1.0, weight=1.0)
                self.recorder.set_exemplar(counted, 1, f"=trace{self._requests}")
                self.recorder.add(waited, 1, 0.5)
                self.recorder.add(waited, 2 + self._requests % 3, 1.0, weight=1.0)
                self.recorder.set_exemplar(waited, 2 + self._requests % 3, f"=trace{self._requests}")
            try:
                self.flusher.flush()
            except StoreUnavailable:
                assert self.away.is_away

    def _one(self, schema: Schema, text: str) -> PendingSeries:
        return self._series.setdefault(f"{schema.name}{text}", PendingSeries(schema, text))


def _memory_after(work: Callable[[], Any]) -> int:
    work()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_an_instance_does_not_grow_during_an_outage() -> None:
    """After 3,500 requests an instance is as large as after 500, also with exemplars and gauges with a function."""
    instance = Busy()
    instance.serve(2 * _KEPT)
    instance.away.is_away = True
    tracemalloc.start()
    try:
        some = _memory_after(lambda: instance.serve(500))
        many = _memory_after(lambda: instance.serve(3_000))
    finally:
        tracemalloc.stop()
    assert many - some < 10_000
    assert len(instance.flusher._outbox._unsettled) == 1
    assert len(instance.recorder.touched) <= 2 * QUEUES + 3


def test_an_instance_keeps_a_bounded_number_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance keeps a bounded number of batches to send again, and a bounded number of records of older ones."""
    monkeypatch.setattr(outbox_module, "_FORGOTTEN", 100)
    instance = Busy()
    instance.serve(_KEPT + 300)
    outbox = instance.flusher._outbox
    assert (len(outbox._kept), len(outbox._forgotten), len(outbox._unsettled)) == (_KEPT, 100, 0)
    assert len({id(weights) for _, weights in outbox._forgotten}) == 1, "equal weights are kept once"
    assert set(outbox._older) == {"jobs", "wait_seconds", "latest", "kairo_batches", "kairo_samples_overflowed"}


async def test_removals_that_wait_are_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that adds and removes new series during an outage keeps a bounded number of removals."""
    monkeypatch.setattr(recorder_module, "_MAX_REMOVALS", 10)
    instance = Busy()
    instance.serve(1)
    instance.away.is_away = True
    for number in range(25):
        series = PendingSeries(JOBS, f'queue="new {number}"')
        with instance.recorder.lock:
            instance.recorder.add(series, 1, 1.0, weight=1.0)
        instance.recorder.remove(series)
        instance.recorder.clear(set(), WAIT, f'queue="old {number}"')
    assert len(instance.recorder.removed) + len(instance.recorder.cleared) <= 20
    instance.away.is_away = False
    await instance.flusher.aflush()
    lost = await nonzero_samples(instance.store, "kairo_samples_lost")
    assert lost == {
        'kairo_samples_lost_total{family="jobs"}': 15,
        'kairo_samples_lost_total{family="wait_seconds"}': 15,
    }
