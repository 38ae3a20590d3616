"""A page in every format that is served or pushed, read by strict parsers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

from google.protobuf.proto import parse_length_prefixed
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from lib.kairo_metrics.exposition import client_model_pb2 as model
from lib.kairo_metrics.exposition import otlp, remote_write, remote_write_2
from lib.kairo_metrics.exposition.family import Extras
from lib.kairo_metrics.exposition.negotiate import choose_format
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.exposition.push_format import PushFormat
from lib.kairo_metrics.model.labels import label_pairs
from lib.kairo_metrics.scrape.collector import Limits, collect
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.store_interface import Store
from tests.support.write_receiver import decoded, decoded_points

__all__ = ["FORMATS", "Samples", "read_as_text", "read_page", "read_protobuf", "read_pushed", "read_strictly"]

Samples = dict[str, str]

FORMATS = {
    "text 0.0.4": "text/plain;version=0.0.4",
    "text 1.0.0": "text/plain;version=1.0.0;escaping=allow-utf-8",
    "text 1.0.0, escaped": "text/plain;version=1.0.0;escaping=underscores",
    "OpenMetrics": "application/openmetrics-text;version=1.0.0",
    "OpenMetrics, UTF-8": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
    "protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
}


def read_strictly(store: Store) -> Samples:
    """Scrape and push in each format, fail if a receiver would, and return the samples of the plain text.

    Names are escaped in one way only: where their letters matter, tests read each of `FORMATS`.
    """
    return asyncio.run(_read(store, ("text 0.0.4", "OpenMetrics", "protobuf"), pushed=True))


def read_as_text(store: Store) -> Samples:
    """Scrape the plain text alone, and return its samples."""
    return asyncio.run(_read(store, ("text 0.0.4",), pushed=False))


async def _read(store: Store, formats: tuple[str, ...], *, pushed: bool) -> Samples:
    found: dict[str, Samples] = {}
    try:
        for name in formats:
            form = choose_format(FORMATS[name])
            extras = replace(form.extras, created=True, escaping=form.escaping or "underscores")
            scrape = await collect(store, Limits(3600), extras=extras)
            found[name] = read_page(name, b"".join(form.render(scrape.page)))
        if pushed:
            everything = Extras(exemplars=True, created=True, native=True, began=True)
            read_pushed((await collect(store, Limits(3600), extras=everything)).page)
    finally:
        if isinstance(store, RedisStore):
            await store.aclose()
    return found["text 0.0.4"]


def read_page(name: str, page: bytes) -> Samples:
    """Return the samples of a page in one of the formats, none of protobuf, and fail if a scraper would."""
    if name == "protobuf":
        read_protobuf(page)
        return {}
    assert list((parse_openmetrics if "OpenMetrics" in name else parse_text)(page.decode()))
    return _samples(page.decode(), openmetrics="OpenMetrics" in name)


def _samples(page: str, *, openmetrics: bool) -> Samples:
    """Return the samples by their names and labels, and fail if Prometheus' own parsers would."""
    samples: Samples = {}
    lines = page.split("\n")
    assert lines.pop() == ""
    if openmetrics:
        assert lines.pop() == "# EOF"
    types = [line.split(" ")[2] for line in lines if line.startswith("# TYPE ")]
    assert len(set(types)) == len(types)
    for line in lines:
        if line.startswith("#"):
            continue
        sample = line.partition(" # ")[0] if openmetrics else line
        series, _, value = sample.rpartition(" ")
        assert series not in samples, line
        _check_number(value)
        samples[series] = value
        _check_labels(name for name, _ in label_pairs(series.partition("{")[2].removesuffix("}")))
    return samples


def _check_number(text: str) -> None:
    """Fail if Go's parser would: for Go, and for a JSON parser, a number out of a float's range is an error."""
    assert "_" not in text
    assert math.isfinite(float(text)) or text in {"+Inf", "-Inf", "NaN"}, text


def _check_labels(names: Iterable[str]) -> None:
    listed = list(names)
    assert len(set(listed)) == len(listed), listed
    assert "__name__" not in listed
    assert "" not in listed


def read_protobuf(page: bytes) -> None:
    names = []
    for family in _families(page):
        names.append(family.name)
        for metric in family.metric:
            _check_labels(pair.name for pair in metric.label)
            _check_histogram(metric.histogram)
    assert len(set(names)) == len(names)


def _families(page: bytes) -> Iterator[model.MetricFamily]:
    source = BytesIO(page)
    while (family := parse_length_prefixed(model.MetricFamily, source)) is not None:
        yield family


def _check_histogram(histogram: model.Histogram) -> None:
    """Fail if Prometheus would refuse the histogram, and the whole page with it."""
    counts = [bucket.cumulative_count for bucket in histogram.bucket]
    assert counts == sorted(counts)
    spans = [*histogram.positive_span, *histogram.negative_span]
    assert sum(span.length for span in spans) == len(histogram.positive_delta) + len(histogram.negative_delta)
    if spans:
        assert -4 <= histogram.schema <= 8
        inside = histogram.zero_count
        for deltas in (histogram.positive_delta, histogram.negative_delta):
            count = 0
            for delta in deltas:
                count += delta
                assert count >= 0
                inside += count
        assert inside == histogram.sample_count


def read_pushed(page: Page) -> None:
    """Fail if a receiver would refuse what is pushed of a page, in one of the protocols."""
    forms: list[PushFormat[Any]] = [remote_write.FORMAT, remote_write_2.FORMAT, otlp.FORMAT]
    for form in forms:
        read = decoded_points if form.name == "OTLP" else decoded
        pushed = set()
        for part in form.write_requests(page, {"job": "kairo"}):
            for labels, _, _ in read(form.body_of(part).data):
                names = list(labels)
                assert names == sorted(names) or form.name == "OTLP"
                key = tuple(sorted(labels.items()))
                assert key not in pushed
                pushed.add(key)
        for part in form.zero_requests(page, {"job": "kairo"}, 0):
            assert all(value == 0 for _, value, _ in read(form.body_of(part).data))
