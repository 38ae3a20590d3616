"""Whatever names, labels, units, help texts, exemplars and clashing types a store holds: each format is valid."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from lib.kairo_metrics.exposition.negotiate import Format, choose_format
from lib.kairo_metrics.exposition.remote_write import body_of, write_requests
from lib.kairo_metrics.model.labels import label_pairs, labels_of
from lib.kairo_metrics.scrape.collector import Limits, Scrape, collect
from tests.support.every_format import read_protobuf
from tests.support.examples import examples
from tests.support.hostile_registries import REGISTRIES, Registry, store_of
from tests.support.prometheus_server import require
from tests.support.write_receiver import decoded

pytestmark = pytest.mark.slow

SCHEMES = ("allow-utf-8", "underscores", "dots", "values")
TEXT, OPENMETRICS = "text/plain;version=1.0.0", "application/openmetrics-text;version=1.0.0"
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
FORMATS = [
    choose_format(""),
    *(choose_format(f"{kind};escaping={scheme}") for kind in (TEXT, OPENMETRICS, PROTOBUF) for scheme in SCHEMES),
]
FORMATS += [choose_format(OPENMETRICS), choose_format(PROTOBUF)]
# The exit code of promtool when it only has advice about names and help texts, and no error.
ADVICE = 3

SLOW = hypothesis_settings(
    max_examples=examples(16), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def scraped(registry: Registry, form: Format, *, created: bool = False) -> tuple[Scrape, bytes]:
    """Scrape a registry in a format."""
    extras = replace(form.printed_extras, created=created or form.extras.created)
    scrape = asyncio.run(collect(store_of(registry), Limits(7_200), extras=extras))
    return scrape, b"".join(form.render(scrape.page))


def lines(page: str) -> Iterator[tuple[str, str]]:
    """Give each sample's name with its labels, in one order and without empty ones, and its value."""
    for line in page.split("\n"):
        if not line or line.startswith("#"):
            continue
        series, _, value = line.partition(" # ")[0].rpartition(" ")
        name, _, labels = series.partition("{")
        pairs = label_pairs(
            labels.removesuffix("}").removeprefix(labels.split(",")[0] + ",") if not name else labels.removesuffix("}")
        )
        if not name:
            name = labels.split('"')[1]
        yield f"{name} {sorted(pair for pair in pairs if pair[1])}", value


def is_valid(form: Format, page: bytes) -> None:
    """Fail if the strictest parser of the format does."""
    if form.module == "protobuf":
        read_protobuf(page)
        return
    text = page.decode()
    assert list((parse_openmetrics if form.module == "openmetrics" else parse_text)(text))
    for sample in text.split("\n"):
        names = [name for name, _ in label_pairs(sample.partition(" # ")[0].partition("{")[2])]
        assert len(set(names)) == len(names), sample
    if form.escaping != "allow-utf-8":
        assert '{"' not in text
        assert ',"' not in "".join(part for part in text.split('"')[::2])


@SLOW
@given(REGISTRIES)
def test_every_format_passes_its_strictest_parser(registry: Registry) -> None:
    """In each format and each escaping, with created times and without, the page is read by a strict parser."""
    for form in FORMATS:
        for created in (False, True):
            _, page = scraped(registry, form, created=created)
            is_valid(form, page)
            if form.module != "protobuf" and form.escaping != "allow-utf-8":
                seen = Counter(name for name, _ in lines(page.decode()))
                assert not [name for name, count in seen.items() if count > 1]


@SLOW
@given(REGISTRIES)
def test_every_series_is_on_the_page_or_told(registry: Registry) -> None:
    """A family has a series on the page, or is named with the reason; counters add up to what is stored."""
    for form in FORMATS:
        scrape, _ = scraped(registry, form)
        shown = {(family.schema.name, family.schema.type) for family in scrape.page.families}
        told = {(clash.family.schema.name, clash.family.schema.type) for clash in scrape.clashes}
        damaged = [
            labels_of(text.decode())["family"]
            for family in scrape.page.families
            if family.schema.name == "kairo_quarantined_fields"
            for text, count in family.series.items()
            if count != b"0"
        ]
        for schema in registry.rows:
            assert (schema.name, schema.type) in shown | told or schema.name in damaged, schema
        left_out = {clash.family.schema for clash in scrape.clashes if clash.is_left_out}
        names = {clash.family.schema.name for clash in scrape.clashes if clash.is_left_out}
        [*told_names] = [
            labels_of(text.decode())["family"]
            for family in scrape.page.families
            if family.schema.name == "kairo_clashing_schemas"
            for text in family.series
        ]
        assert names <= set(told_names)
        stored = sum(
            float(words[0])
            for schema, rows in registry.rows.items()
            if schema.type == "counter" and (schema.name, "counter") not in {(s.name, s.type) for s in left_out}
            for words in rows.values()
        )
        fitted = [family for family in scrape.page.families if family.schema.type == "counter"]
        assert sum(float(n) for family in fitted for n in family.series.values()) == pytest.approx(stored)


@SLOW
@given(REGISTRIES)
def test_a_push_has_no_sample_twice(registry: Registry) -> None:
    """Each body has sorted labels without empty ones, and no series twice, also beside the labels of the target."""
    scrape = asyncio.run(collect(store_of(registry), Limits(7_200)))
    target = {"job": "kairo", "instance": "a", "k_x": "theirs"}
    pushed = Counter(
        tuple(labels.items())
        for part in write_requests(scrape.page, target)
        for labels, _, _ in decoded(body_of(part).data)
    )
    assert not [labels for labels, count in pushed.items() if count > 1]
    for series in pushed:
        assert [name for name, _ in series] == sorted(name for name, _ in series)
        assert all(value for _, value in series)


@pytest.mark.prometheus
@hypothesis_settings(max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(REGISTRIES)
def test_promtool_accepts_every_text_page(registry: Registry) -> None:
    """Prometheus' own linter reads the plain text, whatever its names are."""
    for form in (choose_format(""), choose_format(f"{TEXT};escaping=dots"), choose_format(f"{TEXT};escaping=values")):
        _, page = scraped(registry, form, created=True)
        checked = subprocess.run(
            [require("promtool"), "check", "metrics"], input=page, capture_output=True, check=False
        )
        assert checked.returncode in {0, ADVICE}, checked.stderr
        assert b"error while linting" not in checked.stderr
