"""How many children an instrument keeps, and where further label sets are counted."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary, values

from lib.kairo_metrics import NativeHistogram
from lib.kairo_metrics.instruments.adoption import adopt
from lib.kairo_metrics.instruments.child_limits import LIMITS
from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.instruments.recorder import RECORDER
from tests.support.adopted import adopted_registry
from tests.support.client_versions import removes_unknown_labels
from tests.support.program import apart
from tests.support.recording import Recording

CAP = 3
HOUR_S = 3_600.0


@pytest.fixture(autouse=True)
def _cap(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit each instrument to three children; the store has room for many more."""
    assert recording
    monkeypatch.setattr(LIMITS, "max_series", CAP)


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that moves the recorder's clocks by so many hours."""
    passed_s = 0.0
    monotonic_s, wall_s = RECORDER.clocks

    def advance(more: float) -> None:
        nonlocal passed_s
        passed_s += more * HOUR_S

    monkeypatch.setattr(RECORDER, "clocks", (lambda: monotonic_s() + passed_s, lambda: wall_s() + passed_s))
    return advance


def make(kind: Callable[..., Any], name: str, **options: Any) -> Any:
    """Make an instrument with the label `room`, in a new registry."""
    return kind(name, "Help.", ["room"], registry=adopted_registry(), **options)


async def overflowed(recording: Recording, name: str) -> float:
    return (await recording.samples("kairo_samples_overflowed_total"))[
        f'kairo_samples_overflowed_total{{family="{name}"}}'
    ]


async def test_label_sets_over_the_limit_are_counted_under_overflow(recording: Recording) -> None:
    """The first three label sets keep their series, the others are counted together, and the total is exact."""
    jobs = make(Counter, "full_jobs")
    for room in ["a", "b", "c", "d", "e", "a", "d"]:
        jobs.labels(room).inc()
    assert await recording.samples("full_jobs_total") == {
        'full_jobs_total{room="a"}': 2,
        'full_jobs_total{room="b"}': 1,
        'full_jobs_total{room="c"}': 1,
        'full_jobs_total{room="__overflow__"}': 3,
    }
    assert await overflowed(recording, "full_jobs") == 3
    assert len(jobs._metrics) == CAP + 1


async def test_the_program_s_own_page_shows_the_same(recording: Recording) -> None:
    """The process's own registry shows the overflow series, too, and no label set over the limit."""
    jobs = make(Counter, "own_jobs")
    for room in "abcde":
        jobs.labels(room).inc()
    [family] = jobs.collect()
    assert recording
    assert {sample.labels["room"]: sample.value for sample in family.samples if sample.name == "own_jobs_total"} == {
        "a": 1,
        "b": 1,
        "c": 1,
        "__overflow__": 2,
    }


def _observed(instrument: Any, room: str) -> None:
    instrument.labels(room).observe(2)


@pytest.mark.parametrize(
    ("kind", "options", "do", "shown"),
    [
        (Histogram, {"buckets": (1, 4)}, _observed, ("_sum", 4)),
        (Histogram, {"buckets": (1, 4)}, _observed, ('_bucket{room="__overflow__",le="4.0"}', 2)),
        (Summary, {}, _observed, ("_count", 2)),
        (NativeHistogram, {}, _observed, ("_count", 2)),
        (Gauge, {"multiprocess_mode": "sum"}, lambda gauge, room: gauge.labels(room).inc(2), ("", 4)),
        (Gauge, {"multiprocess_mode": "sum"}, lambda gauge, room: gauge.labels(room).set(ord(room)), ("", ord("e"))),
        (Gauge, {"multiprocess_mode": "mostrecent"}, lambda gauge, room: gauge.labels(room).set(ord(room)), ("", 101)),
        (Gauge, {"multiprocess_mode": "max"}, lambda gauge, room: gauge.labels(room).set(ord(room)), ("", 101)),
        (Gauge, {"multiprocess_mode": "livesum"}, lambda gauge, room: gauge.labels(room).set(ord(room)), ("", 101)),
        (Info, {}, lambda info, room: info.labels(room).info({"said": room}), ("_info", 1)),
        (Enum, {"states": ["a", "e"]}, lambda enum, room: enum.labels(room).state("e"), ("", 1)),
    ],
    ids=[
        "histogram's sum",
        "histogram's bucket",
        "summary",
        "native histogram",
        "sum, added",
        "sum, set",
        "mostrecent",
        "max",
        "livesum",
        "info",
        "enum",
    ],
)
async def test_every_kind_overflows(
    recording: Recording, kind: Any, options: dict[str, Any], do: Any, shown: tuple[str, float]
) -> None:
    """The overflow series adds up exactly what is added, and shows the value that was set last."""
    sample, amount = shown
    name = f"every_{kind.__name__.lower()}_{options.get('multiprocess_mode', '')}"
    instrument = make(kind, name, **options)
    for room in "abcde":
        do(instrument, room)
    page = await recording.samples(name + sample.partition("{")[0])
    found = {line: value for line, value in page.items() if "__overflow__" in line and sample.partition("{")[2] in line}
    assert (max(found.values()) if kind is Enum else sum(found.values())) == amount
    assert len(instrument._metrics) == CAP + 1


async def test_a_child_in_a_variable_keeps_counting(recording: Recording, hours: Callable[[float], None]) -> None:
    """A child that the program keeps in a variable counts for ever, also after another child has taken its place."""
    jobs = make(Counter, "kept_jobs")
    kept = jobs.labels("kept")
    kept.inc()
    jobs.labels("b").inc()
    jobs.labels("c").inc()
    await recording.pipeline.flusher.aflush()
    hours(1.1)
    jobs.labels("d").inc()
    kept.inc()
    jobs.labels("kept").inc()
    assert (await recording.samples("kept_jobs_total")) == {
        'kept_jobs_total{room="kept"}': 3,
        'kept_jobs_total{room="b"}': 1,
        'kept_jobs_total{room="c"}': 1,
        'kept_jobs_total{room="d"}': 1,
    }


async def test_a_child_in_use_is_kept(recording: Recording, hours: Callable[[float], None]) -> None:
    """Only a child that was idle for an hour makes room for another one, and only once it was sent."""
    jobs = make(Counter, "used_jobs")
    for room in "abc":
        jobs.labels(room).inc()
    hours(1.1)
    jobs.labels("d").inc()  # nothing is sent yet
    await recording.pipeline.flusher.aflush()
    hours(0.9)
    jobs.labels("e").inc()
    jobs.labels("a").inc()
    await recording.pipeline.flusher.aflush()
    hours(0.2)
    jobs.labels("f").inc()  # takes the place of b or c
    assert {key[0] for key in jobs._metrics} == {"a", "f", "__overflow__"}
    shown = await recording.samples("used_jobs_total")
    assert shown['used_jobs_total{room="__overflow__"}'] == 2
    assert shown['used_jobs_total{room="b"}'] == 1


async def test_the_share_of_a_sum_is_kept(recording: Recording, hours: Callable[[float], None]) -> None:
    """A gauge that has a share of a sum, or an instance's own value, is kept: the program may take the share back."""
    load = make(Gauge, "load", multiprocess_mode="sum")
    own = make(Gauge, "own_load", multiprocess_mode="all")
    for room in "abc":
        load.labels(room).set(5)
        own.labels(room).set(5)
    load.labels("b").set(0)
    await recording.pipeline.flusher.aflush()
    hours(1.1)
    load.labels("d").set(1)
    own.labels("d").set(1)
    load.labels("a").set(2)
    assert {key[0] for key in load._metrics} == {"a", "c", "d"}
    assert {key[0] for key in own._metrics} == {"a", "b", "c", "__overflow__"}
    assert (await recording.samples("load"))['load{room="a"}'] == 2


@pytest.mark.skipif(not removes_unknown_labels, reason="before 0.22 prometheus_client raises a KeyError")
async def test_removing_an_unknown_label_set_does_not_remove_the_overflow(recording: Recording) -> None:
    """`remove` of a label set that only other instances have does not remove the overflow series."""
    jobs = make(Counter, "gone_jobs")
    for room in "abcd":
        jobs.labels(room).inc()
    await recording.pipeline.flusher.aflush()
    jobs.remove("z")
    jobs.remove("a")
    jobs.labels("z").inc()
    assert await recording.samples("gone_jobs_total") == {
        'gone_jobs_total{room="b"}': 1,
        'gone_jobs_total{room="c"}': 1,
        'gone_jobs_total{room="z"}': 1,
        'gone_jobs_total{room="__overflow__"}': 1,
    }
    jobs.clear()
    for room in "pqrst":
        jobs.labels(room).inc()
    assert sum((await recording.samples("gone_jobs_total")).values()) == 5
    assert len(jobs._metrics) == CAP + 1


async def test_a_label_value_of_a_megabyte_is_not_kept(recording: Recording) -> None:
    """A label set of more than 4,096 characters is counted in the overflow series, though there is room."""
    jobs = make(Counter, "long_jobs")
    jobs.labels("x" * 1_000_000).inc()
    jobs.labels("y" * 4_000).inc()
    assert set((await recording.samples("long_jobs_total")).values()) == {1}
    assert sorted(len(key[0]) for key in jobs._metrics) == [len("__overflow__"), 4_000]


async def test_instruments_made_before_metrics_were_on_are_limited_too(recording: Recording) -> None:
    """An instrument that had too many children before metrics were on keeps those, and gets no more."""
    registry = CollectorRegistry()
    with apart(values.MutexValue):
        old = Counter("old_jobs", "Help.", ["room"], registry=registry)
        for room in "abcde":
            old.labels(room).inc()
    plain = dict.copy(old._metrics)
    old._metrics = plain
    adopt(registry)
    old.labels("f").inc()
    assert (await recording.samples("old_jobs_total"))['old_jobs_total{room="__overflow__"}'] == 1
    assert len(old._metrics) == 6


async def test_a_flood_of_label_values_takes_no_memory(recording: Recording) -> None:
    """Thousands of label values take as many objects as the first ones, sent or not."""
    jobs, wait = make(Counter, "flood_jobs"), make(Histogram, "flood_wait")

    def flood(values: range) -> int:
        for value in values:
            jobs.labels(f"{value}").inc()
            wait.labels(f"{value}").observe(1)
        gc.collect()
        series = [thing for thing in gc.get_objects() if type(thing) is PendingSeries]
        return sum(one.schema.name in {"flood_jobs", "flood_wait"} for one in series)

    before = flood(range(10))
    assert flood(range(10, 2_000)) == before  # nothing was sent, as while the store is away
    assert len(RECORDER.touched) < 50
    await recording.pipeline.flusher.aflush()
    assert flood(range(2_000, 4_000)) <= before
    assert (await recording.samples("flood_wait_count"))['flood_wait_count{room="__overflow__"}'] == 4_000 - CAP
    assert await overflowed(recording, "flood_jobs") == 4_000 - CAP


def test_threads_that_end_take_no_memory() -> None:
    """A server with a thread for each request needs no more memory for a histogram than one with a single thread."""
    wait = make(Histogram, "thread_wait").labels("a")
    threads = [threading.Thread(target=wait.observe, args=(1,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wait._sum._observed.opened == []
    assert wait._sum.get() == 20


async def test_observations_of_two_threads_do_not_mix(recording: Recording) -> None:
    """A thread that is interrupted in an observation completes its own, also if another thread completes first."""
    wait = make(Histogram, "mixed_wait", buckets=(1, 10)).labels("a")

    wait._sum.inc(5)
    other = threading.Barrier(2, timeout=30)

    def observe() -> None:
        wait._sum.inc(0.5)
        other.wait()
        other.wait()
        wait._buckets[0].inc(1)

    thread = threading.Thread(target=observe, daemon=True)
    thread.start()
    other.wait()
    wait._buckets[1].inc(1)
    assert [amount for _, amount in wait._sum._observed.opened] == [0.5]
    other.wait()
    thread.join()
    assert wait._sum._observed.opened == []
    sums = await recording.samples("mixed_wait_sum")
    assert list(sums.values()) == [5.5]


async def test_the_overflow_is_logged_once(recording: Recording, caplog: pytest.LogCaptureFixture) -> None:
    """The log names each metric once, with what to do."""
    jobs, wait = make(Counter, "logged_jobs"), make(Histogram, "logged_wait")
    with caplog.at_level(logging.WARNING, "kairo_metrics"):
        for room in "abcdefgh":
            jobs.labels(room).inc()
            await recording.pipeline.flusher.aflush()
        wait.labels("a").observe(1)
        await recording.pipeline.flusher.aflush()
    [line] = caplog.messages
    assert line.startswith("metric logged_jobs has more label sets than METRICS_MAX_SERIES")
    assert "take out the label" in line


def test_a_missing_child_is_a_key_error_as_before() -> None:
    """Only `labels` returns the overflow child; code that looks up a missing child itself gets a KeyError."""
    jobs = make(Counter, "looked_jobs")
    for room in "abcd":
        jobs.labels(room)
    with pytest.raises(KeyError):
        jobs._metrics["zz",]
