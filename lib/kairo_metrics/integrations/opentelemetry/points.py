"""Points of OpenTelemetry's SDK, and what each adds to a series.

The SDK has added up before: a point is what one set of attributes has counted since the last collection, or, of a
callback, what it has counted or holds as a whole.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    DataT,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    NumberDataPoint,
    Sum,
)

from ...instruments.native_histogram import ZERO_THRESHOLD
from ...instruments.recorder import RECORDER
from ...instruments.sharing import child_series
from ...instruments.values.exemplar import record_exemplar
from ...model.native_counts import COARSEST, FINEST, NativeCounts
from .prometheus_names import labels_of

__all__ = ["ADD", "count", "kind_of", "native_counts"]

# OpenMetrics 1.0, "Exemplars": so many characters may the names and the values of one have.
_LONGEST_EXEMPLAR = 128


def kind_of(data: DataT) -> str:
    """Return what the points of a metric tell.

    Returns:
        "counted" or "told" for a counter: what was counted since, or a callback's total. "added", "held" or "set" for a
        gauge: what was added to it, what this instance holds, or its last value. "histogram" or "native".

    Raises:
        ValueError: nothing of these.
    """
    if isinstance(data, Sum):
        is_delta = data.aggregation_temporality is AggregationTemporality.DELTA
        if data.is_monotonic:
            return "counted" if is_delta else "told"
        return "added" if is_delta else "held"
    kinds = {Gauge: "set", Histogram: "histogram", ExponentialHistogram: "native"}
    if type(data) not in kinds:
        raise ValueError(f"{type(data).__name__} is not known")
    return kinds[type(data)]


def count(child: Any, amount: float) -> None:
    """Count an amount; unlike `inc` this leaves the exemplar to the point."""
    child._value.carry_over(amount)  # noqa: SLF001  prometheus_client keeps its values private


def _count(child: Any, point: NumberDataPoint) -> None:
    with RECORDER.lock:
        count(child, float(point.value))
        _record_exemplars(child, point, lambda _value: 1)


def _add(child: Any, point: NumberDataPoint) -> None:
    if point.value:  # the up and the down of one request have changed nothing
        child.inc(float(point.value))


def _set(child: Any, point: NumberDataPoint) -> None:
    child.set(float(point.value))


def _observe(child: Any, point: HistogramDataPoint) -> None:
    with RECORDER.lock:
        child._sum.carry_over(float(point.sum))  # noqa: SLF001
        for value, observed in zip(child._buckets, point.bucket_counts, strict=True):  # noqa: SLF001
            if observed:
                value.carry_over(float(observed))
        # The first number of the line is the sum.
        _record_exemplars(child, point, lambda value: 2 + bisect_left(point.explicit_bounds, value))


def _observe_native(child: Any, point: ExponentialHistogramDataPoint) -> None:
    child._value.add(native_counts(point))  # noqa: SLF001


ADD: Mapping[str, Callable[[Any, Any], None]] = {
    "counted": _count,
    "added": _add,
    "set": _set,
    "histogram": _observe,
    "native": _observe_native,
}


def native_counts(point: ExponentialHistogramDataPoint) -> NativeCounts:
    """Return the counts of an exponential histogram.

    OpenTelemetry's bucket with the index i begins above base^i, that of Prometheus ends there.

    Source: https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram
    """
    counts = NativeCounts(point.scale, 0.0, float(point.sum), point.count, point.zero_count)
    for side, buckets in ((counts.positive, point.positive), (counts.negative, point.negative)):
        side.update(dict(enumerate(buckets.bucket_counts, buckets.offset + 1)))
    counts.positive, counts.negative = +counts.positive, +counts.negative  # without the empty ones
    if not (counts.positive or counts.negative):
        counts.schema = FINEST  # zeros have no resolution; the SDK's is 0, which would coarsen all that is stored
    elif counts.schema < COARSEST:
        # Its buckets are wider than any of Prometheus: each is counted where it ends.
        steps, counts.schema = COARSEST - counts.schema, COARSEST
        counts.positive, counts.negative = _finer(counts.positive, steps), _finer(counts.negative, steps)
    counts.coarsen(FINEST)
    counts.widen_zero(ZERO_THRESHOLD)  # the SDK's zero bucket has zeros alone; with that Prometheus sees no native one
    return counts


def _finer(side: Counts[int], steps: int) -> Counts[int]:
    return Counts({index << steps: observed for index, observed in side.items()})


def _record_exemplars(child: Any, point: NumberDataPoint | HistogramDataPoint, place: Callable[[float], int]) -> None:
    """Record the exemplars of a point that have a trace; for each number the newest one stays.

    Args:
        child: has the series.
        point: of a counter or of a histogram.
        place: returns the place of the number that an observed value was added to, from 1.
    """
    for exemplar in sorted(point.exemplars, key=lambda exemplar: exemplar.time_unix_nano):
        series = child_series(child)
        if series is not None and (labels := _exemplar_labels(exemplar)):
            record_exemplar(series, place(exemplar.value), float(exemplar.value), labels)


def _exemplar_labels(exemplar: Exemplar) -> dict[str, str]:
    """Return the trace and the span, and as many of the attributes that a view has taken out as there is room for."""
    if not exemplar.trace_id:
        return {}
    labels = {"trace_id": f"{exemplar.trace_id:032x}", "span_id": f"{exemplar.span_id or 0:016x}"}
    for name, value in labels_of([exemplar.filtered_attributes or {}], tuple(labels)).items():
        if len(name) + len(value) + sum(map(len, (*labels, *labels.values()))) <= _LONGEST_EXEMPLAR:
            labels[name] = value
    return labels
