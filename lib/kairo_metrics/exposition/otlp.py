"""OTLP: a page as the cumulative data points of OpenTelemetry, under the names that a scrape shows.

The messages are those of the package opentelemetry-proto. This module is imported for a push by OTLP alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as model

from ..model.labels import labels_of
from ..model.native_counts import NativeCounts
from .family import Exemplar
from .names import VALUE_SUFFIXES, name_of
from .native_buckets import held
from .page import Page
from .push_format import Body, PushFormat
from .pushed_samples import PushedSeries, in_requests, pushed_series, samples_of, title

__all__ = ["FORMAT", "Point", "body_of", "refused_points", "status_message", "write_requests", "zero_requests"]

_CUMULATIVE = model.AGGREGATION_TEMPORALITY_CUMULATIVE
# The labels of a target that name a service and its instance, as Prometheus' own rules translate them.
_RESOURCE = {"job": "service.name", "instance": "service.instance.id"}
# OpenTelemetry writes units as UCUM does.
_UNITS = {"bytes": "By", "ratio": "1", "seconds": "s"}
# The ids of W3C Trace Context; other ids stay labels.
_IDS = {"trace_id": re.compile(r"[0-9a-f]{32}"), "span_id": re.compile(r"[0-9a-f]{16}")}
# An exponential histogram lists empty buckets, too. A histogram with more in a row is sent at a coarser resolution.
_MOST_BUCKETS = 2_000
_LARGEST_TIME_MS = (2**64 - 1) // 1_000_000


@dataclass(frozen=True, slots=True)
class Point:
    """One data point, and what its metric is.

    Args:
        name: of its metric.
        kind: the field of its metric that holds it.
        help: what the metric means.
        unit: of the metric, as UCUM has it.
        labels: of the point, with those of the target.
        data: the message.
    """

    name: str
    kind: str
    help: str
    unit: str
    labels: Mapping[str, str]
    data: Any


def write_requests(page: Page, target_labels: Mapping[str, str]) -> Iterator[list[Point]]:
    """Return the data points of a page, one for each series, in lists of the size of a request.

    Args:
        page: the page to send. Its time is that of all points.
        target_labels: as in `remote_write.write_requests`. Each point has them, so that receivers of Prometheus' kind
            give its series the labels of a scrape.

    Source: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/

    Example:
        >>> from ..model.schema import Schema
        >>> from .family import Family
        >>> jobs = Family(Schema("jobs", "counter"), {b"": b"5"}, began={b"": 1764000000000})
        >>> [[point]] = write_requests(Page((jobs,), at_ms=1764000009000), {"job": "kairo"})
        >>> point.name, point.data.as_double, point.data.start_time_unix_nano
        ('jobs_total', 5.0, 1764000000000000000)
    """
    return in_requests(_points(pushed_series(page, target_labels, native=True)))


def zero_requests(page: Page, target_labels: Mapping[str, str], since_ms: int) -> Iterator[list[Point]]:
    """Return the zeros of new series as `remote_write.zero_requests` does.

    Each point says, too, when its series began, but few receivers make a zero of that.
    """
    return in_requests(_points(pushed_series(page, target_labels, native=True, zeros_since_ms=since_ms)))


def body_of(points: Sequence[Point]) -> Body:
    """Return the body of a request that carries these points."""
    request = ExportMetricsServiceRequest()
    scopes: dict[tuple[str, ...], Any] = {}
    metrics: dict[tuple[str, ...], Any] = {}
    for point in points:
        resource = tuple(point.labels.get(label, "") for label in _RESOURCE)
        if resource not in scopes:
            of_resource = request.resource_metrics.add()
            named = dict(zip(_RESOURCE.values(), resource, strict=True))
            of_resource.resource.attributes.extend(_attributes(named))
            scopes[resource] = of_resource.scope_metrics.add()
        key = (*resource, point.name, point.kind)
        if key not in metrics:
            metric = scopes[resource].metrics.add(name=point.name, description=point.help, unit=point.unit)
            metrics[key] = getattr(metric, point.kind)
            if point.kind in {"exponential_histogram", "histogram", "sum"}:
                metrics[key].aggregation_temporality = _CUMULATIVE
            if point.kind == "sum":
                metrics[key].is_monotonic = True
        metrics[key].data_points.append(point.data)
    exemplars = sum(len(point.data.exemplars) for point in points if hasattr(point.data, "exemplars"))
    return Body(request.SerializeToString(), samples=len(points), exemplars=exemplars)


def title_of(point: Point) -> str:
    """Return the name and the labels of a point, as in a query."""
    return title({"__name__": point.name, **dict(sorted(point.labels.items()))})


FORMAT = PushFormat(
    name="OTLP",
    headers={"Content-Type": "application/x-protobuf"},
    items="data points",
    has_native=True,
    write_requests=write_requests,
    zero_requests=zero_requests,
    body_of=body_of,
    title_of=title_of,
)


def refused_points(answer: bytes) -> tuple[int, str]:
    """Return how many points a receiver that has taken the others says it has refused, and what it says of them.

    Example:
        >>> refused_points(b"")
        (0, '')
    """
    try:
        partial = ExportMetricsServiceResponse.FromString(answer).partial_success
    except DecodeError:
        return 0, ""
    return max(0, partial.rejected_data_points), partial.error_message


def status_message(answer: bytes) -> bytes:
    """Return the sentence of a `google.rpc.Status`, in which a receiver says what is wrong."""
    try:
        # That message has a number and a text under the same field numbers as this one.
        return ExportMetricsPartialSuccess.FromString(answer).error_message.encode()
    except DecodeError:
        return answer


def _points(pushed: Iterable[PushedSeries]) -> Iterator[Point]:
    for series in pushed:
        match series.family.schema.type:
            case "histogram":
                yield _point(series, "histogram", _histogram(series))
            case "native":
                yield _point(series, "exponential_histogram", _exponential(series))
            case "summary" if not series.numbers.startswith(b"NaN"):
                yield _point(series, "summary", _summary(series))
            case "counter":
                data = model.NumberDataPoint(as_double=float(series.numbers))
                data.exemplars.extend(_exemplars(series))
                yield _point(series, "sum", data)
            case _:
                yield from _gauges(series)


def _point(series: PushedSeries, kind: str, data: Any) -> Point:
    schema = series.family.schema
    labels = series.labels({})
    data.attributes.extend(_attributes(labels))
    data.time_unix_nano, data.start_time_unix_nano = _nanoseconds(series.at_ms), _nanoseconds(series.began_ms)
    name = name_of(series.family, VALUE_SUFFIXES.get(schema.type, ""))
    return Point(name, kind, schema.help, _UNITS.get(schema.unit, schema.unit), labels, data)


def _gauges(series: PushedSeries) -> Iterator[Point]:
    """Return the samples of what OpenTelemetry has no type for, each as a gauge."""
    schema = series.family.schema
    for sample in samples_of(series):
        labels = dict(sample.labels)
        name = labels.pop("__name__")
        data = model.NumberDataPoint(as_double=sample.value, time_unix_nano=_nanoseconds(sample.at_ms))
        data.attributes.extend(_attributes(labels))
        yield Point(name, "gauge", schema.help, _UNITS.get(schema.unit, schema.unit), labels, data)


def _histogram(series: PushedSeries) -> model.HistogramDataPoint:
    bounds = [float(bound) for bound in series.family.schema.bounds]
    observed, *counts = series.numbers.split()
    numbers = list(map(int, counts))
    data = model.HistogramDataPoint(
        count=held(sum(numbers)),
        bucket_counts=map(held, numbers),
        explicit_bounds=bounds[:-1],
        exemplars=_exemplars(series),
    )
    if bounds[0] >= 0:  # a sum of negative observations can fall, so it is none that counts
        data.sum = float(observed)
    return data


def _exponential(series: PushedSeries) -> model.ExponentialHistogramDataPoint:
    counts = NativeCounts.parse(series.numbers.decode().split())
    while max(map(_width, (counts.positive, counts.negative))) > _MOST_BUCKETS:
        counts.coarsen(counts.schema - 1)
    data = model.ExponentialHistogramDataPoint(
        count=held(counts.count),
        sum=counts.sum,
        scale=counts.schema,
        zero_count=held(counts.zero_count),
        zero_threshold=counts.zero_threshold,
    )
    for buckets, side in ((data.positive, counts.positive), (data.negative, counts.negative)):
        if side:
            first = min(side)
            # Here a bucket is named by its lower bound, and in a native histogram by its upper one.
            buckets.offset = first - 1
            buckets.bucket_counts.extend(held(side[first + place]) for place in range(_width(side)))
    return data


def _width(side: Mapping[int, int]) -> int:
    return max(side) - min(side) + 1 if side else 0


def _summary(series: PushedSeries) -> model.SummaryDataPoint:
    counted, observed, *at_quantiles = series.numbers.split()
    data = model.SummaryDataPoint(count=held(int(counted)), sum=float(observed))
    for quantile, value in zip(series.family.schema.bounds, at_quantiles, strict=True):
        data.quantile_values.add(quantile=float(quantile), value=float(value))
    return data


def _nanoseconds(at_ms: int) -> int:
    return min(max(at_ms, 0), _LARGEST_TIME_MS) * 1_000_000


def _exemplars(series: PushedSeries) -> Iterator[model.Exemplar]:
    for _, exemplar in sorted(series.exemplars.items()):
        yield _exemplar(exemplar)


def _exemplar(exemplar: Exemplar) -> model.Exemplar:
    labels = labels_of(exemplar.labels.decode())
    data = model.Exemplar(as_double=float(exemplar.value), time_unix_nano=_nanoseconds(exemplar.at_ms))
    for name, form in _IDS.items():
        if form.fullmatch(labels.get(name, "")):
            setattr(data, name, bytes.fromhex(labels.pop(name)))
    data.filtered_attributes.extend(_attributes(labels))
    return data


def _attributes(labels: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in labels.items() if value]
