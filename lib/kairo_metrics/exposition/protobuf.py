"""The Prometheus protobuf format, delimited: Prometheus asks for it if it accepts native histograms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from google.protobuf.timestamp_pb2 import Timestamp

from ..model.labels import labels_of
from ..model.native_counts import NativeCounts
from . import client_model_pb2 as model
from .family import Exemplar, Family
from .names import VALUE_SUFFIXES, unquoted_name_of
from .native_buckets import fill_side, held

__all__ = ["render"]

_TYPES = {
    "counter": model.COUNTER,
    "histogram": model.HISTOGRAM,
    "native": model.HISTOGRAM,
    "summary": model.SUMMARY,
    # As in the text format; Prometheus reads the type of its own only since lately.
    "gaugehistogram": model.HISTOGRAM,
    "unknown": model.UNTYPED,
}


def render(families: Iterable[Family]) -> Iterator[bytes]:
    r"""Write families, each as one message with its length before it.

    Source: https://prometheus.io/docs/instrumenting/exposition_formats/#protobuf-format

    Example:
        >>> from ..model.schema import Schema
        >>> b"".join(render([Family(Schema("jobs", "counter"), {b"": b"3"})]))
        b'\x19\n\njobs_total"\x0b\x1a\t\t\x00\x00\x00\x00\x00\x00\x08@'
    """
    for family in families:
        schema = family.schema
        message = model.MetricFamily(
            name=unquoted_name_of(family, VALUE_SUFFIXES.get(schema.type, "")),
            help=schema.help,
            type=_TYPES.get(schema.type, model.GAUGE),
            unit=schema.unit,
        )
        fill = _FILLERS.get(schema.type, _gauge)
        for text, numbers in family.series.items():
            metric = message.metric.add(label=_labels(text))
            fill(metric, family, text, numbers)
        yield _varint(message.ByteSize())
        yield message.SerializeToString()


def _varint(number: int) -> bytes:
    """Write a number as protobuf does. Its own functions for that differ from version to version."""
    written = bytearray()
    while number > 0x7F:  # noqa: PLR2004  seven bits in each byte; the eighth says that more follow
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def _gauge(metric: model.Metric, family: Family, text: bytes, numbers: bytes) -> None:
    del family, text
    metric.gauge.value = float(numbers)


def _untyped(metric: model.Metric, family: Family, text: bytes, numbers: bytes) -> None:
    del family, text
    metric.untyped.value = float(numbers)


def _counter(metric: model.Metric, family: Family, text: bytes, numbers: bytes) -> None:
    metric.counter.value = float(numbers)
    if exemplar := family.exemplars.get(text, {}).get(1):
        metric.counter.exemplar.CopyFrom(_exemplar(exemplar))
    if text in family.created:
        metric.counter.created_timestamp.CopyFrom(_time(family.created[text]))


def _summary(metric: model.Metric, family: Family, text: bytes, numbers: bytes) -> None:
    count, total, *at_quantiles = numbers.split()
    if count != b"NaN":  # a collector may give quantiles alone
        metric.summary.sample_count, metric.summary.sample_sum = held(int(count)), float(total)
    for quantile, value in zip(family.schema.bounds, at_quantiles, strict=True):
        metric.summary.quantile.add(quantile=float(quantile), value=float(value))
    if text in family.created:
        metric.summary.created_timestamp.CopyFrom(_time(family.created[text]))


def _histogram(metric: model.Metric, family: Family, text: bytes, numbers: bytes) -> None:
    total, *counts = numbers.split()
    cumulative = list(map(held, accumulate(map(int, counts))))
    histogram = metric.histogram
    histogram.sample_count, histogram.sample_sum = cumulative[-1], float(total)
    exemplars = family.exemplars.get(text, {})
    for place, (bound, count) in enumerate(zip(family.schema.bounds, cumulative, strict=True), start=2):
        bucket = histogram.bucket.add(cumulative_count=count, upper_bound=float(bound))
        if place in exemplars:
            bucket.exemplar.CopyFrom(_exemplar(exemplars[place]))
    if text in family.created:
        histogram.created_timestamp.CopyFrom(_time(family.created[text]))


def _native(metric: model.Metric, family: Family, text: bytes, numbers: bytes) -> None:
    counts = NativeCounts.parse(numbers.decode().split())
    histogram = metric.histogram
    histogram.sample_count, histogram.sample_sum = held(counts.count), counts.sum
    histogram.schema, histogram.zero_threshold, histogram.zero_count = (
        counts.schema,
        counts.zero_threshold,
        held(counts.zero_count),
    )
    fill_side(histogram.positive_span, histogram.positive_delta, counts.positive)
    fill_side(histogram.negative_span, histogram.negative_delta, counts.negative)
    if not (counts.positive or counts.negative):
        # An empty span marks a native histogram without observations.
        histogram.positive_span.add(offset=0, length=0)
    if text in family.created:
        histogram.created_timestamp.CopyFrom(_time(family.created[text]))


_Filler = Callable[[model.Metric, Family, bytes, bytes], None]
_FILLERS: dict[str, _Filler] = {
    "counter": _counter,
    "gaugehistogram": _histogram,
    "histogram": _histogram,
    "native": _native,
    "summary": _summary,
    "unknown": _untyped,
}


def _labels(text: bytes) -> list[model.LabelPair]:
    return [model.LabelPair(name=name, value=value) for name, value in labels_of(text.decode()).items()]


def _exemplar(exemplar: Exemplar) -> model.Exemplar:
    return model.Exemplar(label=_labels(exemplar.labels), value=float(exemplar.value), timestamp=_time(exemplar.at_ms))


def _time(at_ms: int) -> Timestamp:
    return Timestamp(seconds=at_ms // 1000, nanos=at_ms % 1000 * 1_000_000)
