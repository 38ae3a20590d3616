"""New series at zero, on pages of real Redis servers: late, never lost, and the same for every scraper."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.errors import SettingsError
from lib.kairo_metrics.exposition.family import Extras, Family
from lib.kairo_metrics.exposition.negotiate import choose_format
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.instruments.native_histogram import NativeHistogram
from lib.kairo_metrics.model.recovery import REMEMBERS_MS, Recovery
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.scrape.new_series import with_zeros
from lib.kairo_metrics.scrape.state_reader import StateReader
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import settings
from tests.support.program import Program

START_MS = 1_764_000_000_000
ZERO_S = 60
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


class Watched:
    """An instance on a store whose clock is moved by hand, and the functions that serve its page."""

    def __init__(self, shards: int = 1) -> None:
        self.now_ms = START_MS
        self.settings = settings(shards=shards)
        self.store = MemoryStore(self.settings, lambda: self.now_ms)
        self.program = Program(self.store, self.settings, "1")

    def reader(self) -> StateReader:
        """Start a function that has served no page yet."""
        return StateReader(self.store, self.settings, self._nothing)

    async def _nothing(self) -> None:
        pass

    async def page(self, reader: StateReader | None = None, accept: str = "", zero_s: int = ZERO_S) -> dict[str, float]:
        """Return the samples of a page that a text format shows."""
        form = choose_format(accept)
        page, _ = await (reader or self.reader()).read_page(time.perf_counter(), 5, extras=form.extras, zero_s=zero_s)
        lines = b"".join(form.render(page)).decode().splitlines()
        pairs = (line.partition(" # ")[0].rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}


@pytest.fixture
def watched() -> Watched:
    """Give an instance that has counted with every kind of instrument, once each."""
    watched = Watched()
    with watched.program.running():
        registry = watched.program.registry
        Counter("jobs", "Jobs.", ["queue"], registry=registry).labels("a").inc(5, {"trace_id": "abc"})
        Histogram("wait", "Wait.", buckets=(1,), registry=registry).observe(0.5, {"trace_id": "abc"})
        Summary("size", "Size.", registry=registry).observe(7)
        NativeHistogram("fine", "Fine.", registry=registry).observe(3)
        Gauge("load", "Load.", multiprocess_mode="sum", registry=registry).set(9)
        Gauge("heat", "Heat.", multiprocess_mode="max", registry=registry).set(8)
        Info("build", "Build.", registry=registry).info({"version": "1"})
        Enum("state", "State.", states=["up", "down"], registry=registry).state("down")
    watched.program.flush()
    return watched


COUNTED = {
    'jobs_total{queue="a"}': 5,
    'wait_bucket{le="1.0"}': 1,
    'wait_bucket{le="+Inf"}': 1,
    "wait_count": 1,
    "wait_sum": 0.5,
    "size_count": 1,
    "size_sum": 7,
    "fine_count": 1,
    "fine_sum": 3,
}
OTHERS = {"load": 9, "heat": 8, 'build_info{version="1"}': 1, 'state{state="down"}': 1, 'state{state="up"}': 0}


def only(page: dict[str, float], names: Any) -> dict[str, float]:
    """Return some samples."""
    return {name: page[name] for name in names}


@pytest.mark.parametrize("accept", ["", "text/plain;version=1.0.0", OPENMETRICS])
async def test_a_new_series_is_at_zero_until_its_time_is_over(watched: Watched, accept: str) -> None:
    """Counters, histograms and summaries are at zero as a whole, and then at all they have counted."""
    for later_ms, values in ((0, 0), (ZERO_S * 1000 - 1, 0), (ZERO_S * 1000, 1)):
        watched.now_ms = START_MS + later_ms
        page = await watched.page(accept=accept)
        assert only(page, COUNTED) == {name: value * values for name, value in COUNTED.items()}
        assert only(page, OTHERS) == OTHERS


async def test_without_the_setting_nothing_is_held_back(watched: Watched) -> None:
    """By default every series is shown with its first value."""
    assert only(await watched.page(zero_s=0), COUNTED) == COUNTED


async def test_each_scraper_sees_a_series_at_zero_first(watched: Watched) -> None:
    """Two scrapers at different times, answered by functions that forget, both see zero and then the whole count."""
    queue = 'jobs_total{queue="a"}'
    for offset_ms, interval_ms in ((0, 30_000), (17_000, 45_000)):
        seen = []
        for number in range(5):
            watched.now_ms = START_MS + offset_ms + number * interval_ms
            seen.append((await watched.page())[queue])
        assert (seen[0], seen[-1]) == (0, 5)
        assert sum(max(0, after - before) for before, after in pairwise(seen)) == 5


async def test_what_tells_of_the_delivery_is_never_held_back(watched: Watched) -> None:
    """Our own metrics are on the page at zero before they count, so they are shown as they are."""
    assert (await watched.page())['kairo_batches_total{outcome="applied"}'] == 1


@pytest.mark.parametrize("accept", [OPENMETRICS, PROTOBUF])
async def test_a_series_at_zero_has_no_exemplars(watched: Watched, accept: str) -> None:
    """An exemplar would be of an increment that is not shown yet; it is shown with the value."""
    form = choose_format(accept)
    for later_ms, shown in ((0, False), (ZERO_S * 1000, True)):
        watched.now_ms = START_MS + later_ms
        page, _ = await watched.reader().read_page(time.perf_counter(), 5, extras=form.extras, zero_s=ZERO_S)
        assert (b"abc" in b"".join(form.render(page))) == shown


async def test_a_reset_counter_is_at_zero_first(watched: Watched) -> None:
    """After `reset()` a counter begins again from zero, as for a new series."""
    watched.now_ms += 3_600_000
    with watched.program.running():
        counter = Counter("mails", "Mails.", registry=watched.program.registry)
        counter.inc(4)
    watched.program.flush()
    watched.now_ms += 3_600_000
    with watched.program.running():
        counter.reset()
        counter.inc(2)
    watched.program.flush()
    assert (await watched.page())["mails_total"] == 0
    watched.now_ms += ZERO_S * 1000
    assert (await watched.page())["mails_total"] == 2


async def test_a_series_that_is_old_in_one_shard_is_not_new() -> None:
    """An instance that writes to another shard adds to a series at once: it would go down otherwise."""
    watched = Watched(shards=2)
    for shard in (0, 1):
        program = Program(watched.store, watched.settings, str(shard))
        program._outbox._draw = lambda _below, shard=shard: shard
        with program.running():
            Counter("jobs", "Jobs.", registry=program.registry).inc(3)
        program.flush()
        watched.now_ms += 3_600_000
    watched.now_ms -= 3_599_000
    assert (await watched.page())["jobs_total"] == 6


def test_for_a_minute_after_a_loss_a_series_may_be_an_old_one() -> None:
    """Instances send again within seconds, and pages write back within a minute what no instance has."""
    recovery = Recovery(START_MS, "blue-1763999999999", 2, 1, 0)
    times = [(-1, False), (0, True), (REMEMBERS_MS, True), (REMEMBERS_MS + 1, False)]
    assert [recovery.may_have_brought(START_MS + later_ms) for later_ms, _ in times] == [lost for _, lost in times]


@given(
    began_ms=st.integers(0, 200_000),
    scrapes_ms=st.lists(st.integers(1, ZERO_S * 1000), min_size=10, max_size=20).map(sorted),
    value=st.integers(1, 10**9),
)
def test_no_scraper_that_is_quick_enough_misses_the_first_value(
    began_ms: int, scrapes_ms: list[int], value: int
) -> None:
    """Whenever a series begins, a scraper whose pauses are shorter than the time sees it at zero before its value."""
    at_ms, seen = 0, []
    jobs = Family(Schema("jobs", "counter"), {b"": b"%d" % value}, began={b"": began_ms})
    for pause_ms in scrapes_ms * 40:
        at_ms += pause_ms
        if at_ms >= began_ms:
            seen.append(int(with_zeros(Page((jobs,), at_ms), ZERO_S, {}).families[0].series[b""]))
        if seen and seen[-1]:
            break
    assert not seen or seen[0] == 0


def test_what_an_earlier_page_has_shown_is_kept() -> None:
    """A page that adds what the store has lost does not put the same series back to zero."""
    jobs = Schema("jobs", "counter", ("queue",))
    began = {b'queue="a"': 8_000, b'queue="b"': 8_000}
    family = Family(jobs, {b'queue="a"': b"5", b'queue="b"': b"6"}, began=began)
    [shown] = with_zeros(Page((family,), 9_000), 10, {jobs: {b'queue="a"': b"5"}}).families
    assert shown.series == {b'queue="a"': b"5", b'queue="b"': b"0"}


def test_extras_ask_for_nothing_by_default() -> None:
    """A page that shows no zeros does not read when series began."""
    assert not Extras().began


def test_the_time_comes_from_a_variable() -> None:
    """METRICS_NEW_SERIES_ZERO_S is whole seconds, off by default; anything else is an error that names it."""
    assert Settings.from_env({}).new_series_zero_s == 0
    assert Settings.from_env({"METRICS_NEW_SERIES_ZERO_S": "90"}).new_series_zero_s == 90
    for wrong in ("-1", "1.5", "3601", "soon"):
        with pytest.raises(SettingsError, match="METRICS_NEW_SERIES_ZERO_S must be a whole number from 0 to 3600"):
            Settings.from_env({"METRICS_NEW_SERIES_ZERO_S": wrong})
