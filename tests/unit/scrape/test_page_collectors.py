"""Collectors of the program that run for each page."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import (
    GC_COLLECTOR,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Metric,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from lib.kairo_metrics.exposition.family import Extras
from lib.kairo_metrics.exposition.negotiate import choose_format
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.model.schema_validation import flaw_of
from lib.kairo_metrics.scrape.page_collectors import page_collectors
from lib.kairo_metrics.scrape.state_reader import StateReader
from tests.support.collectors import Stock, every_type, faulty
from tests.support.every_format import FORMATS, Samples, read_page, read_pushed
from tests.support.instance import Instance, memory_instance, settings


def registry_of(*collectors: Any, **options: Any) -> CollectorRegistry:
    """Make a registry with these collectors."""
    registry = CollectorRegistry(**options)
    for collector in collectors:
        registry.register(collector)
    return registry


def reader_of(*registries: CollectorRegistry, instance: Instance | None = None) -> StateReader:
    """Make a reader of an instance in memory that runs the collectors of these registries."""
    instance = instance or memory_instance()
    return StateReader(instance.store, settings(), instance.flusher.aflush, lambda: registries)


async def page_of(reader: StateReader, patience_s: float = 5.0, extras: Extras | None = None, **names: Any) -> Page:
    page, _ = await reader.read_page(time.perf_counter(), patience_s, extras=extras, **names)
    return page


async def samples_of(reader: StateReader, name: str = "text 0.0.4", **options: Any) -> Samples:
    """Read a page in a format, fail if a scraper would, and return its samples."""
    form = choose_format(FORMATS[name])
    page = await page_of(reader, extras=form.printed_extras, **options)
    return read_page(name, b"".join(form.render(page)))


def problems(samples: Samples) -> dict[str, str]:
    """Return what is told about collectors, by the reason."""
    found = {text: value for text, value in samples.items() if text.startswith("kairo_collector_problems")}
    return {text.partition('reason="')[2].partition('"')[0]: value for text, value in found.items()}


@pytest.mark.parametrize("name", FORMATS)
async def test_families_of_every_type_are_on_the_page_in_every_format(name: str) -> None:
    """A strict parser reads all of it, and nothing is left out."""
    samples = await samples_of(reader_of(registry_of(Stock(every_type))), name)
    assert problems(samples) == {}
    if name != "protobuf":
        assert samples["made_total"] == "3"
        assert samples["sizes_gcount"] == "5"
        assert samples['delay{zone="a",quantile="0.99"}'] == "0.9"


async def test_all_values_of_every_type_are_what_the_collector_gave() -> None:
    """Counts, sums, quantiles and states are those of the collector; buckets are those of all series of the family."""
    samples = await samples_of(reader_of(registry_of(Stock(every_type))))
    expected = {
        "made_total": "3",
        'level_ratio{shelf="b"}': "NaN",
        'level_ratio{shelf="a\\"b\\n\\\\"}': "0.5",
        "legacy": "4",
        'wait_bucket{queue="a",le="0.5"}': "0",
        'wait_bucket{queue="a",le="1.0"}': "2",
        'wait_bucket{queue="a",le="+Inf"}': "5",
        'wait_sum{queue="a"}': "7.5",
        'wait_bucket{queue="b",le="0.5"}': "1",
        'wait_bucket{queue="b",le="1.0"}': "1",
        'wait_count{queue="b"}': "1",
        'drift_bucket{le="-1.0"}': "1",
        'sizes_bucket{le="1.0"}': "2",
        "sizes_gcount": "5",
        "sizes_gsum": "7",
        "rpc_count": "3",
        "rpc_sum": "4.5",
        'delay{zone="a",quantile="0.99"}': "0.9",
        'delay{zone="b",quantile="0.5"}': "0.3",
        'delay_count{zone="a"}': "10",
        'build_info{version="1.2"}': "1",
        'mode{mode="on"}': "1",
        'mode{mode="off"}': "0",
        "n_me_with_dots": "5",
    }
    assert {text: samples.get(text) for text in expected} == expected
    assert 'delay_count{zone="b"}' not in samples
    assert samples['kairo_series{family="wait"}'] == "2"


async def test_exemplars_and_created_times_are_those_of_the_collector() -> None:
    """OpenMetrics shows them as those of instruments: created times only if they are asked for."""
    reader = reader_of(registry_of(Stock(every_type)))
    form = choose_format(FORMATS["OpenMetrics"])
    pages = [await page_of(reader, extras=replace(form.printed_extras, created=created)) for created in (False, True)]
    without, with_created = [b"".join(form.render(page)).decode() for page in pages]
    assert 'made_total 3 # {trace_id="4bf9"} 1 1764000001.000\n' in without
    assert 'wait_bucket{queue="a",le="1.0"} 2 # {trace_id="00f0"} 0.7 ' in without
    assert "made_created" not in without
    assert "made_created 1764000000.500\n" in with_created


async def test_what_is_pushed_has_the_families_of_collectors() -> None:
    """A receiver gets buckets, quantiles and states of collectors, too."""
    page = await page_of(reader_of(registry_of(Stock(every_type))))
    read_pushed(page)


@pytest.mark.parametrize("name", FORMATS)
async def test_what_no_page_can_show_is_counted_and_takes_nothing_else(name: str) -> None:
    """Samples that a scraper refuses are left out by the reason, and the others of the same collector are shown."""
    registry = registry_of(Stock(faulty), target_info={"env": "production"})
    samples = await samples_of(reader_of(registry, registry_of(Stock())), name)
    if name != "protobuf":
        # Two counters, 11 samples of three histograms, four samples of "other", two states, a type and a name.
        assert problems(samples) == {"invalid": "21", "duplicate": "1", "timestamp": "1", "exemplar": "1"}
        assert samples['twice{shelf="a"}'] == "1"
        assert samples["measured_before"] == "6"
        assert samples["stock_level"] == "7"
        assert samples['target_info{env="production"}'] == "1"


def fail(kind: type[BaseException]) -> Callable[[], Iterable[Metric]]:
    def collect() -> Iterable[Metric]:
        yield GaugeMetricFamily("half_done", "Before the error.", 1)
        raise kind("no connection")

    return collect


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt, SystemExit, StopIteration])
async def test_a_collector_that_raises_is_told_and_logged_once(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """The page has all others, and the log has the error with its traceback once."""
    reader = reader_of(registry_of(Stock(fail(kind)), Stock()))
    for _ in range(2):
        samples = await samples_of(reader)
        assert problems(samples) == {"raised": "1"}
        assert samples["stock_level"] == "7"
        assert "half_done" not in samples
    [record] = [record for record in caplog.records if "collector" in record.message]
    assert "tests.support.collectors.Stock: raised" in record.message
    assert record.exc_info


@pytest.mark.parametrize("collected", [None, 7, ["text"], [object()]], ids=["None", "a number", "texts", "objects"])
async def test_a_collector_that_returns_no_families_is_told(collected: Any) -> None:
    """A page is also made if `collect` is not what prometheus_client asks for."""
    samples = await samples_of(reader_of(registry_of(Stock(lambda: collected))))
    assert problems(samples) == {"raised": "1"}


async def test_a_collector_that_hangs_delays_one_page_only() -> None:
    """A page does without it before its time limit; later ones do not wait for it, nor start it once more."""
    started, release = [], threading.Event()

    def hang() -> Iterable[Metric]:
        started.append(1)
        release.wait(30)
        yield GaugeMetricFamily("late", "Late.", 1)

    reader = reader_of(registry_of(Stock(hang), Stock()))
    try:
        for patience_s in (0.5, 60.0):
            samples = await samples_of(reader, patience_s=patience_s)
            assert problems(samples) == {"slow": "1"}
            assert samples["stock_level"] == "7"
        assert started == [1]
    finally:
        release.set()
    assert reader._collectors is not None
    await asyncio.gather(*(asyncio.wrap_future(future) for future, _ in reader._collectors._running.values()))
    assert (await samples_of(reader))["late"] == "1"


async def test_two_scrapes_at_the_same_time_share_a_run() -> None:
    """Each of two Prometheus servers gets the families, and the database is asked once."""
    started, begun, release = [], threading.Event(), threading.Event()

    def wait() -> Iterable[Metric]:
        started.append(1)
        begun.set()
        release.wait(30)
        yield GaugeMetricFamily("shared", "Shared.", 1)

    reader = reader_of(registry_of(Stock(wait)))
    scrapes = [asyncio.create_task(samples_of(reader, patience_s=30.0)) for _ in range(2)]
    assert await asyncio.to_thread(begun.wait, 30)
    release.set()
    assert [samples.get("shared") for samples in await asyncio.gather(*scrapes)] == ["1", "1"]
    assert started == [1]


async def test_a_collector_without_an_end_stops_after_the_page() -> None:
    """What yields families for ever is ended, so that its thread and its memory are free again."""
    ended = threading.Event()

    def endless() -> Iterable[Metric]:
        try:
            while True:
                time.sleep(0.001)
                yield GaugeMetricFamily("more", "More.", 1)
        finally:
            ended.set()

    samples = await samples_of(reader_of(registry_of(Stock(endless))), patience_s=0.3)
    assert problems(samples) == {"slow": "1"} or "more" in samples
    assert await asyncio.to_thread(ended.wait, 30)


async def test_a_name_that_the_store_has_is_left_out_and_told() -> None:
    """What instances have sent takes precedence, also of one type; so does a name that a stored family reserves."""
    instance = memory_instance()
    instance.add('queue="a"')
    clash = [CounterMetricFamily("jobs", "Theirs.", 9), GaugeMetricFamily("jobs_created", "Theirs.", 9)]
    reader = reader_of(registry_of(Stock(lambda: clash), Stock()), instance=instance)
    text, openmetrics = await samples_of(reader), await samples_of(reader, "OpenMetrics")
    assert text['jobs_total{queue="a"}'] == "1"
    assert "jobs_total" not in text
    assert text["jobs_created"] == "9"
    assert "jobs_created" not in openmetrics
    for samples in (text, openmetrics):
        assert samples['kairo_clashing_schemas{family="jobs",other="jobs",reason="collector"}'] == "1"
        assert samples['kairo_clashing_schemas{family="jobs_created",other="jobs",reason="collector"}'] == "1"
        assert samples["stock_level"] == "7"


async def test_of_two_collectors_with_one_name_the_first_is_shown() -> None:
    """Their families are not mixed, and the second is told."""
    samples = await samples_of(reader_of(registry_of(Stock()), registry_of(Stock())))
    assert samples["stock_level"] == "7"
    assert samples['kairo_clashing_schemas{family="stock_level",other="stock_level",reason="collector"}'] == "1"


async def test_no_collector_takes_a_name_of_the_page() -> None:
    """A family named like one of ours is left out."""
    samples = await samples_of(reader_of(registry_of(Stock(lambda: [GaugeMetricFamily("kairo_series", "Theirs.", 9)]))))
    assert "kairo_series" not in samples
    assert samples['kairo_clashing_schemas{family="kairo_series",other="kairo_series",reason="collector"}'] == "1"


async def test_a_scrape_can_ask_for_a_family_of_a_collector() -> None:
    """`name[]` selects it as any other."""
    samples = await samples_of(reader_of(registry_of(Stock(every_type), Stock())), names=frozenset({"stock_level"}))
    assert samples == {"stock_level": "7"}


async def test_a_falling_counter_of_a_collector_is_shown_as_it_is() -> None:
    """What the page adds after a loss of the store concerns stored counters only."""
    values = iter((9, 4))
    reader = reader_of(registry_of(Stock(lambda: [CounterMetricFamily("boots", "Boots.", next(values))])))
    assert [(await samples_of(reader))["boots_total"] for _ in range(2)] == ["9", "4"]


def test_what_runs_is_what_is_no_instrument() -> None:
    """Instruments are sent, not collected. The process's own collectors run if the program has registered them."""
    registry = CollectorRegistry(target_info={"env": "production"})
    Counter("jobs", "Jobs.", registry=registry)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(GC_COLLECTOR)
    assert [collector.name.rpartition(".")[2] for collector in page_collectors([registry])] == [
        "target_info",
        "ProcessCollector",
        "PlatformCollector",
        "GCCollector",
    ]


def test_the_default_collectors_do_not_run() -> None:
    """`process_*`, `python_info` and `python_gc_*` of the default registry describe one process, not the functions."""
    names = [collector.name for collector in page_collectors([REGISTRY])]
    assert [name for name in names if name.startswith("prometheus_client")] == []


def test_a_schema_of_a_collector_has_no_place_in_the_store() -> None:
    """Its types are none that an instance could announce."""
    assert flaw_of(Schema("legacy", "unknown"))
    assert flaw_of(Schema("sizes", "gaugehistogram", bounds=("+Inf",)))
