"""Names with letters beyond the classic ones, stored and shown in each escaping scheme."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.values import MutexValue

from lib.kairo_metrics.exposition.negotiate import choose_format
from lib.kairo_metrics.scrape.collector import Limits, Scrape, collect
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.store_interface import Store
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.client_versions import needs_escaping, needs_utf_8_names
from tests.support.instance import settings
from tests.support.program import Program, apart

pytestmark = needs_utf_8_names

SCHEMES = ["allow-utf-8", "underscores", "dots", "values"]


def use(registry: CollectorRegistry) -> None:
    """Count under names with dots, spaces, umlauts and quotes."""
    Counter("mails.sent", "Sent.", ["mail.to", "by"], registry=registry).labels("a", 'b "c"').inc(3)
    Counter("boots größer", "Boots.", registry=registry).inc()
    Gauge("plain.load", "Load.", ["room.nr"], multiprocess_mode="sum", registry=registry).labels("7").set(1.5)
    Histogram('wait "s"', "Wait.", ["by_whom"], buckets=(1, 2), registry=registry).labels("x").observe(1.5)


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Store:
    """Give a store in which an instance has counted under such names."""
    if request.param == "memory":
        store: Store = MemoryStore(settings())
    else:
        store = RedisStore(settings(request.getfixturevalue("redis_url")))
    program = Program(store, settings(), "1")
    with program.running():
        use(program.registry)
    program.flush()
    return store


def scrape(store: Store) -> Scrape:
    """Read the store."""

    async def read() -> Scrape:
        taken = await collect(store, Limits(3600))
        if isinstance(store, RedisStore):
            await store.aclose()
        return taken

    return asyncio.run(read())


def own(page: str, parse: object) -> set[tuple[str, tuple[tuple[str, str], ...], float]]:
    """Return the samples without those about the pipeline."""
    return {
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in parse(page)  # type: ignore[operator]
        for sample in family.samples
        if not family.name.startswith("kairo") and not sample.name.endswith("_created")
        if "wait" not in sample.name
    }


@needs_escaping
@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_escaping_is_that_of_prometheus_client(store: Store, scheme: str) -> None:
    """In both text formats the samples equal those that prometheus_client prints for the same metrics.

    Except those of histograms, whose suffix prometheus_client escapes, too: then they have not the name in `# TYPE`.
    """
    registry = CollectorRegistry()
    with apart(MutexValue):
        use(registry)
        expected_text = generate_latest(registry, escaping=scheme).decode()
        expected_openmetrics = generate_openmetrics(registry, escaping=scheme).decode()
    page_read = scrape(store).page
    form = choose_format(f"text/plain;version=1.0.0;escaping={scheme}")
    assert own(b"".join(form.render(page_read)).decode(), parse_text) == own(expected_text, parse_text)
    form = choose_format(f"application/openmetrics-text;version=1.0.0;escaping={scheme}")
    page = b"".join(form.render(page_read)).decode()
    assert own(page, parse_openmetrics) == own(expected_openmetrics, parse_openmetrics)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_samples_bear_the_name_of_their_type_line(store: Store, scheme: str) -> None:
    """In each scheme, a strict parser finds each sample in the family that `# TYPE` names."""
    form = choose_format(f"application/openmetrics-text;version=1.0.0;escaping={scheme}")
    page = b"".join(form.render(scrape(store).page)).decode()
    families = [family for family in parse_openmetrics(page) if not family.name.startswith("kairo")]
    assert sorted(family.type for family in families) == ["counter", "counter", "gauge", "histogram"]


def test_without_an_accept_header_names_are_classic(store: Store) -> None:
    """In the classic text format, underscores replace the characters that it can't print."""
    page = b"".join(choose_format("").render(scrape(store).page)).decode()
    assert 'mails_sent_total{by="b \\"c\\"",mail_to="a"} 3\n' in page
    assert 'plain_load{room_nr="7"} 1.5\n' in page
