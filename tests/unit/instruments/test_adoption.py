"""Which instruments are published: those of the default registry, and those of registries that were given."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Summary,
    generate_latest,
)

from lib.kairo_metrics import NativeHistogram, Settings, install, instrument
from lib.kairo_metrics.instruments.adoption import adopt
from lib.kairo_metrics.instruments.recorder import RECORDER, Recorder
from tests.support.client_versions import has_remove_by_labels
from tests.support.recording import Recording

# Each kind, how it is used, and one sample that shows it.
KINDS: list[tuple[Callable[..., Any], Callable[[Any], Any], str, float]] = [
    (Counter, lambda it: it.inc(2), "own_total", 2),
    (Gauge, lambda it: it.set(3), "own", 3),
    (Histogram, lambda it: it.observe(4), "own_sum", 4),
    (Summary, lambda it: it.observe(5), "own_sum", 5),
    (NativeHistogram, lambda it: it.observe(6), "own_sum", 6),
    (Info, lambda it: it.info({"version": "7"}), "own_info", 1),
    (partial(Enum, states=["on", "off"]), lambda it: it.state("off"), "own", 1),
]
IDS = ["counter", "gauge", "histogram", "summary", "native", "info", "enum"]


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize(("kind", "use", "sample", "value"), KINDS, ids=IDS)
async def test_a_private_registry_is_private_until_it_is_given(  # noqa: PLR0917, PLR0913  the table's columns
    recording: Recording, kind: Callable[..., Any], use: Callable[[Any], Any], sample: str, value: float, labelled: bool
) -> None:
    """An instrument made after the set-up in a registry of its own is not published; given to `install`, it is."""
    registry = CollectorRegistry()
    instrument = kind("own", "Own.", ["to"] if labelled else [], registry=registry)
    child = instrument.labels("a") if labelled else instrument
    use(child)
    assert await recording.samples("own") == {}
    if labelled:
        instrument.labels("b")
        instrument.remove("b")
        if has_remove_by_labels:
            instrument.remove_by_labels({"to": "b"})
    assert await recording.samples("own") == {}
    install(registry)
    shown = {name: number for name, number in (await recording.samples(sample)).items() if number}
    assert list(shown.values()) == [value]
    if labelled:
        instrument.clear()
        assert await recording.samples("own") == {}


@pytest.mark.parametrize(("kind", "use", "sample", "value"), KINDS, ids=IDS)
async def test_an_instrument_of_no_registry_is_published_once_it_is_registered(
    recording: Recording, kind: Callable[..., Any], use: Callable[[Any], Any], sample: str, value: float
) -> None:
    """With `registry=None` nothing is published; `register` in a published registry carries over what was counted."""
    registry = CollectorRegistry()
    adopt(registry)
    instrument = kind("own", "Own.", registry=None)
    use(instrument)
    assert await recording.samples("own") == {}
    registry.register(instrument)
    shown = {name: number for name, number in (await recording.samples(sample)).items() if number}
    assert list(shown.values()) == [value]


async def test_instrument_takes_a_registry(recording: Recording) -> None:
    """`instrument(app, registry=...)` publishes that registry, too; anything else is refused by its name."""
    registry, (settings, store) = CollectorRegistry(), (recording.pipeline.settings, recording.store)
    Counter("own_jobs", "J.", registry=registry).inc(2)

    async def app(*_: object) -> None: ...

    instrument(app, settings=settings, store=store, registry=registry)
    assert await recording.samples("own_jobs_total") == {"own_jobs_total": 2}
    with pytest.raises(TypeError, match="instrument takes registries, not str"):
        instrument(app, settings=Settings(enabled=False), registry="mine")  # type: ignore[arg-type]


async def test_two_registries_have_one_instrument(recording: Recording) -> None:
    """An instrument in two registries that are published counts once."""
    first, second = CollectorRegistry(), CollectorRegistry()
    jobs = Counter("shared_jobs", "J.", registry=first)
    second.register(jobs)
    jobs.inc()
    adopt(first, second, first)
    jobs.inc()
    assert await recording.samples("shared_jobs_total") == {"shared_jobs_total": 2}


async def test_an_adopted_registry_works_as_before(recording: Recording) -> None:
    """The program's own page, `unregister`, and a second registration work in a registry that is published."""
    assert recording
    registry = CollectorRegistry()
    adopt(registry)
    jobs = Counter("plain_jobs", "J.", registry=registry)
    jobs.inc(2)
    assert b"plain_jobs_total 2.0" in generate_latest(registry)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        Counter("plain_jobs", "J.", registry=registry)
    registry.unregister(jobs)
    assert generate_latest(registry) == b""
    registry.register(jobs)
    assert b"plain_jobs_total 2.0" in generate_latest(registry)
    assert type(REGISTRY._collector_to_names) is type(registry._collector_to_names)


def test_a_registry_that_ends_takes_no_memory(recording: Recording) -> None:
    """A published registry that the program drops is freed."""
    assert recording
    registry = CollectorRegistry()
    adopt(registry)
    Counter("short_jobs", "J.", ["to"], registry=registry).labels("a").inc()
    RECORDER.forget()
    published = weakref.ref(registry)
    del registry
    gc.collect()
    assert published() is None
    assert isinstance(RECORDER, Recorder)
