"""OTLP: a push carries what a scrape shows, as OpenTelemetry's data points."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1 import metrics_pb2 as model

from lib.kairo_metrics.exposition.family import Exemplar, Family
from lib.kairo_metrics.exposition.otlp import FORMAT, body_of, refused_points, write_requests, zero_requests
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.exposition.remote_write import write_requests as samples_of
from lib.kairo_metrics.model.encoding import number_text
from lib.kairo_metrics.model.native_counts import NativeCounts, upper_bound
from lib.kairo_metrics.model.schema import Schema
from tests.support.native_amounts import AMOUNTS, SCHEMAS, THRESHOLDS, counts_of
from tests.unit.exposition.test_remote_write import families

TARGET = {"job": "kairo", "instance": "production", "region": "fra1"}
AT_MS = 1_764_000_000_123
BEGAN_MS = AT_MS - 60_000
NANOSECONDS = 1_000_000


def request_of(*given: Family, zeros_since_ms: int | None = None, target: dict[str, str] = TARGET) -> Any:
    page = Page(given, AT_MS)
    parts = write_requests(page, target) if zeros_since_ms is None else zero_requests(page, target, zeros_since_ms)
    [body] = [body_of(part) for part in parts]
    return ExportMetricsServiceRequest.FromString(body.data)


def metrics_of(*given: Family, **more: Any) -> list[Any]:
    [resource] = request_of(*given, **more).resource_metrics
    [scope] = resource.scope_metrics
    return list(scope.metrics)


def point_of(family: Family, **more: Any) -> Any:
    """Return the only data point of a family."""
    [metric] = metrics_of(family, **more)
    [point] = getattr(metric, metric.WhichOneof("data")).data_points
    return point


def attributes(message: Any) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in message}


@given(families())
def test_a_push_carries_the_samples_of_a_scrape(family: Family) -> None:
    """Each sample of remote write can be read from the points as receivers of Prometheus' kind read them."""
    if family.schema.type == "native":
        return
    expected = {
        (tuple(sample.labels.items()), number_text(sample.value))
        for part in samples_of(Page((family,), AT_MS), TARGET)
        for sample in part
    }
    found = set()
    for part in write_requests(Page((family,), AT_MS), TARGET):
        for resource in ExportMetricsServiceRequest.FromString(body_of(part).data).resource_metrics:
            for metric in resource.scope_metrics[0].metrics:
                found |= set(read(metric, family.schema.bounds))
    assert {(labels, float(value) if value != "NaN" else value) for labels, value in found} == {
        (labels, float(value) if value != "NaN" else value) for labels, value in expected
    }


def read(metric: Any, bounds: tuple[str, ...]) -> list[tuple[tuple[tuple[str, str], ...], str]]:
    """Return the samples that a receiver makes of a metric; a bound is printed as we print it."""
    kind = metric.WhichOneof("data")
    found = []
    for point in getattr(metric, kind).data_points:
        samples: list[tuple[str, dict[str, str], float]] = []
        if kind == "histogram":
            assert list(map(float, bounds[:-1])) == list(point.explicit_bounds)
            for bound, count in zip(bounds, accumulate(point.bucket_counts), strict=True):
                samples.append(("_bucket", {"le": bound}, count))
            samples.append(("_count", {}, point.count))
            samples += [("_sum", {}, point.sum)] if point.HasField("sum") else []
        elif kind == "summary":
            samples += [("_count", {}, point.count), ("_sum", {}, point.sum)]
        else:
            samples.append(("", {}, point.as_double))
        for suffix, more, value in samples:
            labels = {"__name__": f"{metric.name}{suffix}", **attributes(point.attributes), **more}
            found.append((tuple(sorted(labels.items())), number_text(value)))
    return found


def test_the_resource_names_the_service() -> None:
    """`job` and `instance` are the service and its instance for receivers that go by resources."""
    [resource] = request_of(Family(Schema("jobs", "counter"), {b"": b"5"})).resource_metrics
    assert attributes(resource.resource.attributes) == {"service.name": "kairo", "service.instance.id": "production"}


def test_each_point_has_the_labels_of_a_scrape() -> None:
    """So a receiver of Prometheus' kind has the same series as after a scrape."""
    point = point_of(Family(Schema("jobs", "counter", ("job", "z")), {b'job="a",z=""': b"5"}))
    assert attributes(point.attributes) == {**TARGET, "exported_job": "a"}


def test_points_of_several_resources_are_kept_apart() -> None:
    """Without a target's `job`, a metric's own names the service."""
    rows = {b'job="a"': b"1", b'job="b"': b"2"}
    request = request_of(Family(Schema("jobs", "counter", ("job",)), rows), target={})
    names = [attributes(resource.resource.attributes) for resource in request.resource_metrics]
    assert names == [{"service.name": "a"}, {"service.name": "b"}]


def test_counters_are_cumulative_from_the_time_when_they_began() -> None:
    """The sum is monotonic, and the point has its start time and its own."""
    [metric] = metrics_of(Family(Schema("jobs", "counter", help="Jobs."), {b"": b"5"}, began={b"": BEGAN_MS}))
    assert (metric.name, metric.description) == ("jobs_total", "Jobs.")
    assert metric.sum.is_monotonic
    assert metric.sum.aggregation_temporality == model.AGGREGATION_TEMPORALITY_CUMULATIVE
    [point] = metric.sum.data_points
    assert point.start_time_unix_nano == BEGAN_MS * NANOSECONDS
    assert point.time_unix_nano == AT_MS * NANOSECONDS


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("counter", b"5"),
        ("histogram", b"2.5 1 2"),
        ("summary", b"3 10.25"),
        ("native", b"12 4 1 0 0.001 2:2,3:1 -"),
    ],
)
def test_a_new_series_is_sent_at_zero_first(kind: str, numbers: bytes) -> None:
    """The zero has the time when the series began; the value says from when on it counts."""
    bounds = ("1.0", "+Inf") if kind in {"histogram", "native"} else ()
    family = Family(Schema("wait", kind, (), bounds), {b"": numbers}, began={b"": BEGAN_MS})
    zero, value = point_of(family, zeros_since_ms=BEGAN_MS - 1), point_of(family)
    assert zero.time_unix_nano == zero.start_time_unix_nano == value.start_time_unix_nano == BEGAN_MS * NANOSECONDS
    assert (zero.as_double if kind == "counter" else zero.count) == 0
    assert (value.as_double if kind == "counter" else value.count) > 0


@pytest.mark.parametrize("kind", ["gauge", "info", "stateset", "unknown"])
def test_what_does_not_count_is_a_gauge(kind: str) -> None:
    """A gauge has no start time, and infos and enums are gauges, as in Prometheus."""
    [metric] = metrics_of(Family(Schema("up_to_date", kind), {b"": b"1"}))
    assert metric.name == ("up_to_date_info" if kind == "info" else "up_to_date")
    assert [point.start_time_unix_nano for point in metric.gauge.data_points] == [0]


def test_what_opentelemetry_has_no_type_for_is_not_lost() -> None:
    """A gauge histogram, and a summary of quantiles alone, become gauges of the names that a scrape shows."""
    families = [
        Family(Schema("queue", "gaugehistogram", (), ("1.0", "+Inf")), {b"": b"2.5 1 2"}),
        Family(Schema("size", "summary", (), ("0.5",)), {b"": b"NaN NaN 3"}),
    ]
    metrics = {metric.name: metric.gauge.data_points for metric in metrics_of(*families)}
    assert sorted(metrics) == ["queue_bucket", "queue_gcount", "queue_gsum", "size"]
    assert [point.as_double for point in metrics["queue_bucket"]] == [1, 3]
    assert attributes(metrics["size"][0].attributes)["quantile"] == "0.5"


@pytest.mark.parametrize(("unit", "sent"), [("seconds", "s"), ("bytes", "By"), ("ratio", "1"), ("volts", "volts")])
def test_units_are_those_of_opentelemetry(unit: str, sent: str) -> None:
    """The common ones are translated, so that a receiver does not add a second one to the name."""
    [metric] = metrics_of(Family(Schema(f"wait_{unit}", "gauge", unit=unit), {b"": b"1"}))
    assert metric.unit == sent


def test_ids_of_a_trace_go_where_receivers_look_for_them() -> None:
    """A W3C trace is in the exemplar's own fields; what has another form stays a label."""
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    labels = f'span_id="{span}",trace_id="{trace}",user="7"'.encode()
    family = Family(
        Schema("wait", "histogram", (), ("1.0", "+Inf")),
        {b"": b"2.5 1 2"},
        {b"": {2: Exemplar(labels, b"0.5", AT_MS - 5), 3: Exemplar(b'trace_id="4bf9"', b"3", AT_MS)}},
    )
    first, second = point_of(family).exemplars
    assert (first.trace_id.hex(), first.span_id.hex(), attributes(first.filtered_attributes)) == (
        trace,
        span,
        {"user": "7"},
    )
    assert (first.as_double, first.time_unix_nano) == (0.5, (AT_MS - 5) * NANOSECONDS)
    assert (second.trace_id, attributes(second.filtered_attributes)) == (b"", {"trace_id": "4bf9"})


@given(st.builds(counts_of, st.lists(AMOUNTS, max_size=20), SCHEMAS, THRESHOLDS))
def test_a_native_histogram_is_an_exponential_one(counts: NativeCounts) -> None:
    """Each bucket is between the same bounds, at least at the resolution that was sent; all observations are there."""
    family = Family(Schema("fine", "native", (), ("1.0", "+Inf")), {b"": counts.text().encode()})
    point = point_of(family)
    assert (point.count, point.zero_count, point.zero_threshold) == (
        counts.count,
        counts.zero_count,
        counts.zero_threshold,
    )
    assert point.scale <= counts.schema
    counts.coarsen(point.scale)
    for sent, side in ((point.positive, counts.positive), (point.negative, counts.negative)):
        assert len(sent.bucket_counts) <= 2_000
        base = 2.0**2.0**-point.scale
        found = {}
        for place, count in enumerate(sent.bucket_counts):
            if count:  # OpenTelemetry: from base ** index, excluded, to base ** (index + 1)
                index = sent.offset + place
                found[index + 1] = count
                assert upper_bound(index, point.scale) == pytest.approx(base**index) or abs(index) > 500
        assert found == {index: count for index, count in side.items() if count}


def test_a_wide_histogram_is_sent_at_a_coarser_resolution() -> None:
    """Two observations that are far apart make no list of half a million buckets."""
    counts = NativeCounts(8, 1e-300)
    for amount in (1e-200, 1e200):
        counts.observe(amount)
    family = Family(Schema("fine", "native", (), ("1.0", "+Inf")), {b"": counts.text().encode()})
    assert len(body_of(next(iter(write_requests(Page((family,), AT_MS), TARGET))))) < 10_000
    assert point_of(family).count == 2


def test_a_large_state_is_pushed_in_several_requests() -> None:
    """2,000 points go into one request; nothing is left out or sent twice."""
    rows = {b'n="%d"' % number: b"%d" % number for number in range(4_500)}
    parts = list(write_requests(Page((Family(Schema("jobs", "counter", ("n",)), rows),), AT_MS), TARGET))
    assert [body_of(part).samples for part in parts] == [2_000, 2_000, 500]
    assert {part[0].name for part in parts} == {"jobs_total"}


def test_a_point_is_named_as_in_a_query() -> None:
    """That is how a refused one is told."""
    [[point]] = write_requests(Page((Family(Schema("jobs", "counter"), {b"": b"5"}),), AT_MS), {"job": "kairo"})
    assert FORMAT.title_of(point) == 'jobs_total{job="kairo"}'


def test_an_answer_that_is_no_message_refuses_nothing() -> None:
    """A receiver that answers 200 with some text has taken everything."""
    answer = ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points, answer.partial_success.error_message = 3, "too old"
    assert refused_points(answer.SerializeToString()) == (3, "too old")
    assert refused_points(b"") == refused_points(b"fine, thanks\xff") == (0, "")


@pytest.mark.parametrize("at_ms", [-5, 10**40])
def test_a_time_that_is_none_ends_no_push(at_ms: int) -> None:
    """A collector may give its exemplars and series any time; all points are sent."""
    marks = {b"": {1: Exemplar(b'trace_id="4bf9"', b"1", at_ms)}}
    point = point_of(Family(Schema("jobs", "counter"), {b"": b"5"}, marks, created={b"": at_ms}))
    assert point.as_double == 5
    assert point.start_time_unix_nano < AT_MS * NANOSECONDS
