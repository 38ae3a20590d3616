"""How many children an instance keeps of an instrument, and what becomes of the others."""

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
from lib.kairo_metrics.instruments.children import Children
from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.instruments.values import RECORDER
from tests.support.program import apart
from tests.support.recording import Recording

CAP = 3
HOUR_S = 3_600.0


@pytest.fixture(autouse=True)
def _cap(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let instances have three children of each instrument; the store has room for many more."""
    assert recording
    monkeypatch.setattr(Children, "max_series", CAP)


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Give a function that lets so many hours pass."""
    passed_s = 0.0
    monotonic_s, wall_s = RECORDER.clocks

    def go_by(more: float) -> None:
        nonlocal passed_s
        passed_s += more * HOUR_S

    monkeypatch.setattr(RECORDER, "clocks", (lambda: monotonic_s() + passed_s, lambda: wall_s() + passed_s))
    return go_by


def make(kind: Callable[..., Any], name: str, **options: Any) -> Any:
    """Make an instrument with the label `room` that only this process's registry of the test knows."""
    return kind(name, "Help.", ["room"], registry=CollectorRegistry(), **options)


async def overflowed(recording: Recording, name: str) -> float:
    return (await recording.samples("kairo_samples_overflowed_total"))[
        f'kairo_samples_overflowed_total{{family="{name}"}}'
    ]


async def test_a_label_set_too_many_is_counted_under_overflow(recording: Recording) -> None:
    """The first three go on as before, the others are counted together, and nothing of the total is missing."""
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


async def test_the_program_s_own_page_says_the_same(recording: Recording) -> None:
    """Whoever reads the process's own registry finds the overflow there as well, and nothing by its own name."""
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
    """What is added up stays exact in the overflow series; of what is set, it shows what was set last."""
    sample, amount = shown
    name = f"every_{kind.__name__.lower()}_{options.get('multiprocess_mode', '')}"
    instrument = make(kind, name, **options)
    for room in "abcde":
        do(instrument, room)
    page = await recording.samples(name + sample.partition("{")[0])
    found = {line: value for line, value in page.items() if "__overflow__" in line and sample.partition("{")[2] in line}
    assert (max(found.values()) if kind is Enum else sum(found.values())) == amount
    assert len(instrument._metrics) == CAP + 1


async def test_a_child_that_is_held_goes_on(recording: Recording, hours: Callable[[float], None]) -> None:
    """A child kept in a variable counts for ever, also when its place was given to another one meanwhile."""
    jobs = make(Counter, "held_jobs")
    held = jobs.labels("held")
    held.inc()
    jobs.labels("b").inc()
    jobs.labels("c").inc()
    await recording.pipeline.flusher.aflush()
    hours(1.1)
    jobs.labels("d").inc()
    held.inc()
    jobs.labels("held").inc()
    assert (await recording.samples("held_jobs_total")) == {
        'held_jobs_total{room="held"}': 3,
        'held_jobs_total{room="b"}': 1,
        'held_jobs_total{room="c"}': 1,
        'held_jobs_total{room="d"}': 1,
    }


async def test_what_is_in_use_keeps_its_place(recording: Recording, hours: Callable[[float], None]) -> None:
    """Only a child that nobody touched for an hour makes room; one that was not sent yet does not either."""
    jobs = make(Counter, "used_jobs")
    for room in "abc":
        jobs.labels(room).inc()
    hours(1.1)
    jobs.labels("d").inc()  # nothing was sent yet
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


async def test_shares_are_not_forgotten(recording: Recording, hours: Callable[[float], None]) -> None:
    """A gauge that holds a share of a sum, or an instance's own value, keeps its place: it may be taken back."""
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


async def test_removing_an_unknown_label_set_leaves_the_overflow_alone(recording: Recording) -> None:
    """`remove` of labels that only other instances have does not take the overflow series away."""
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


async def test_a_label_of_a_megabyte_is_not_kept(recording: Recording) -> None:
    """A label set longer than any that is meant goes to the overflow series, though there is room."""
    jobs = make(Counter, "long_jobs")
    jobs.labels("x" * 1_000_000).inc()
    jobs.labels("y" * 4_000).inc()
    assert set((await recording.samples("long_jobs_total")).values()) == {1}
    assert sorted(len(key[0]) for key in jobs._metrics) == [len("__overflow__"), 4_000]


async def test_instruments_that_are_older_are_bounded_too(recording: Recording) -> None:
    """An instrument that had children before metrics were switched on keeps those, and takes no more."""
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


async def test_a_flood_leaves_nothing_behind(recording: Recording) -> None:
    """Thousands of label values leave as many objects as the first three, sent or not."""
    jobs, wait = make(Counter, "flood_jobs"), make(Histogram, "flood_wait")

    def flood(values: range) -> int:
        for value in values:
            jobs.labels(f"{value}").inc()
            wait.labels(f"{value}").observe(1)
        gc.collect()
        return sum(isinstance(thing, PendingSeries) for thing in gc.get_objects())

    before = flood(range(10))
    assert flood(range(10, 2_000)) == before  # while the store is away, say
    assert len(RECORDER._touched) < 50
    await recording.pipeline.flusher.aflush()
    assert flood(range(2_000, 4_000)) <= before
    assert (await recording.samples("flood_wait_count"))['flood_wait_count{room="__overflow__"}'] == 4_000 - CAP
    assert await overflowed(recording, "flood_jobs") == 4_000 - CAP


def test_threads_that_come_and_go_leave_nothing_behind() -> None:
    """A server with a thread for each request keeps no more of a histogram than one with a single thread."""
    wait = make(Histogram, "thread_wait").labels("a")
    threads = [threading.Thread(target=wait.observe, args=(1,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wait._sum._observed.opened == []
    assert wait._sum.get() == 20


async def test_observations_of_two_threads_do_not_mix(recording: Recording) -> None:
    """A thread that is interrupted in the midst of an observation completes its own, in whatever order."""
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
    assert [amount for _, (_, amount, _) in wait._sum._observed.opened] == [0.5]
    other.wait()
    thread.join()
    assert wait._sum._observed.opened == []
    sums = await recording.samples("mixed_wait_sum")
    assert list(sums.values()) == [5.5]


async def test_the_log_says_so_once(recording: Recording, caplog: pytest.LogCaptureFixture) -> None:
    """Once for each metric, the log names it and says what to do."""
    jobs, wait = make(Counter, "told_jobs"), make(Histogram, "told_wait")
    with caplog.at_level(logging.WARNING, "kairo_metrics"):
        for room in "abcdefgh":
            jobs.labels(room).inc()
            await recording.pipeline.flusher.aflush()
        wait.labels("a").observe(1)
        await recording.pipeline.flusher.aflush()
    [line] = caplog.messages
    assert line.startswith("metric told_jobs has more label sets than METRICS_MAX_SERIES")
    assert "take out the label" in line


def test_a_look_at_what_is_not_there_fails_as_before() -> None:
    """Only `labels` is given the overflow: code that looks into the children itself gets its KeyError."""
    jobs = make(Counter, "looked_jobs")
    for room in "abcd":
        jobs.labels(room)
    with pytest.raises(KeyError):
        jobs._metrics["zz",]
