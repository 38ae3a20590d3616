"""The created time of each series: the store keeps it, and a page shows it if the setting asks for it."""

from __future__ import annotations

import pytest
from prometheus_client import Counter, Histogram, Summary
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.exposition.family import Extras
from lib.kairo_metrics.exposition.negotiate import choose_format
from lib.kairo_metrics.scrape.collector import Limits, collect
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import settings
from tests.support.program import Program

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
START_MS = 1_764_000_000_500


class Watched:
    """An instance on a store whose clock is moved by hand."""

    def __init__(self) -> None:
        self.now_ms = START_MS
        self.store = MemoryStore(settings(shards=2), lambda: self.now_ms)
        self.program = Program(self.store, settings(shards=2), "1")
        with self.program.running():
            registry = self.program.registry
            self.jobs = Counter("jobs", "Jobs.", ["queue"], registry=registry)
            self.wait = Histogram("wait", "Wait.", buckets=(1,), registry=registry)
            self.size = Summary("size", "Size.", registry=registry)
            self.jobs.labels("a").inc()
        self.program.flush()

    async def created(self, accept: str) -> dict[str, float]:
        """Return the `_created` samples of the page in that format."""
        scrape = await collect(self.store, Limits(3600), extras=Extras(created=True))
        page = b"".join(choose_format(accept).render(scrape.page)).decode()
        parse = parse_openmetrics if "openmetrics" in accept else parse_text
        return {
            f"{sample.name}{sorted(sample.labels.values())}": sample.value
            for family in parse(page)
            for sample in family.samples
            if sample.name.endswith("_created") and not sample.name.startswith("kairo")
        }


@pytest.mark.parametrize("accept", ["", "text/plain;version=1.0.0", OPENMETRICS])
async def test_the_text_formats_show_it_when_asked(accept: str) -> None:
    """Each counter, histogram and summary has one more sample, by the store's clock, and the page stays valid."""
    watched = Watched()
    watched.now_ms += 60_000
    with watched.program.running():
        watched.jobs.labels("a").inc()
        watched.jobs.labels("b").inc()
    watched.program.flush()
    start_s = START_MS / 1000
    assert await watched.created(accept) == {
        "jobs_created['a']": start_s,
        "jobs_created['b']": start_s + 60,
        "wait_created[]": start_s,
        "size_created[]": start_s,
    }


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
async def test_an_expired_series_has_no_created_time(accept: str) -> None:
    """A series that was not updated for its time to live leaves the page, and its `_created` sample with it."""
    watched = Watched()
    watched.now_ms += 2 * 3_600_000
    with watched.program.running():
        watched.jobs.labels("b").inc()
    watched.program.flush()
    assert await watched.created(accept) == {"jobs_created['b']": START_MS / 1000 + 2 * 3_600}


async def test_a_counter_that_was_reset_has_a_new_created_time() -> None:
    """`reset()` gives the series a new created time, so that a scraper knows why the value fell."""
    watched = Watched()
    watched.now_ms += 60_000
    with watched.program.running():
        watched.jobs.labels("a").reset()
    watched.program.flush()
    assert (await watched.created(OPENMETRICS))["jobs_created['a']"] == START_MS / 1000 + 60


async def test_created_samples_are_off_by_default() -> None:
    """Without METRICS_CREATED_SAMPLES a page has no `_created` samples, since they double the number of series."""
    watched = Watched()
    scrape = await collect(watched.store, Limits(3600))
    assert "_created" not in b"".join(choose_format("").render(scrape.page)).decode()
    assert Settings.from_env({}).created_samples is False
    assert Settings.from_env({"METRICS_CREATED_SAMPLES": "true"}).created_samples is True
