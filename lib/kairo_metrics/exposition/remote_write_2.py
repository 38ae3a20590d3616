"""Remote write 2.0: the samples of a page with type, help, unit, exemplars and native histograms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..model.labels import labels_of
from ..model.native_counts import NativeCounts
from .native_buckets import fill_side, held
from .page import Page
from .push_format import Body, PushFormat
from .pushed_samples import PushedSample, in_requests, pushed_samples, title_of
from .remote_write_2_pb2 import Histogram, Metadata, Request
from .snappy import wrap

__all__ = ["FORMAT", "HEADERS", "body_of", "write_requests", "zero_requests"]

HEADERS = {
    "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "2.0.0",
}
_TYPES = {
    "counter": Metadata.METRIC_TYPE_COUNTER,
    "gauge": Metadata.METRIC_TYPE_GAUGE,
    "gaugehistogram": Metadata.METRIC_TYPE_GAUGEHISTOGRAM,
    "histogram": Metadata.METRIC_TYPE_HISTOGRAM,
    "info": Metadata.METRIC_TYPE_INFO,
    "native": Metadata.METRIC_TYPE_HISTOGRAM,
    "stateset": Metadata.METRIC_TYPE_STATESET,
    "summary": Metadata.METRIC_TYPE_SUMMARY,
}
_LARGEST_TIME_MS = 2**63 - 1


def write_requests(page: Page, target_labels: Mapping[str, str]) -> Iterator[list[PushedSample]]:
    """Return the samples of a page as `remote_write.write_requests` does, and native histograms as such.

    Example:
        >>> from ..model.schema import Schema
        >>> from .family import Family
        >>> jobs = Family(Schema("jobs", "counter", help="Jobs."), {b"": b"5"}, began={b"": 1764000000000})
        >>> [samples] = write_requests(Page((jobs,), at_ms=1764000009000), {"job": "kairo"})
        >>> samples[0].began_ms, len(body_of(samples))
        (1764000000000, 93)
    """
    return in_requests(pushed_samples(page, target_labels, native=True))


def zero_requests(page: Page, target_labels: Mapping[str, str], since_ms: int) -> Iterator[list[PushedSample]]:
    """Return the zeros of new series as `remote_write.zero_requests` does.

    Each value says, too, when its series began. But a receiver need not make a zero of that: Prometheus 3.5 does it
    only with `--enable-feature=created-timestamp-zero-ingestion`, and then takes the zero that it has for its own.
    """
    return in_requests(pushed_samples(page, target_labels, native=True, zeros_since_ms=since_ms))


def body_of(samples: Sequence[PushedSample]) -> Body:
    """Return the body of a request that carries these samples.

    Source: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
    """
    request, symbols = Request(), _Symbols()
    exemplars = histograms = 0
    for sample in samples:
        schema = sample.family.schema
        series = request.timeseries.add(
            labels_refs=symbols.pairs(sample.labels),
            metadata=Metadata(
                type=_TYPES.get(schema.type, Metadata.METRIC_TYPE_UNSPECIFIED),
                help_ref=symbols.number(schema.help),
                unit_ref=symbols.number(schema.unit),
            ),
        )
        # A zero is no value that says when its series began: a receiver would make a second zero of it.
        began_ms = sample.began_ms if sample.began_ms < sample.at_ms else 0
        if sample.native is not None:
            # Prometheus 3.5 may end at one that says when it began: see `fitting`. The zero before it says so.
            began_ms = 0
            series.histograms.append(_histogram(sample.native, sample.at_ms))
            histograms += 1
        else:
            series.samples.add(value=sample.value, timestamp=sample.at_ms, start_timestamp=began_ms)
        series.created_timestamp = began_ms
        if (exemplar := sample.exemplar) is not None:
            pairs = symbols.pairs(dict(sorted(labels_of(exemplar.labels.decode()).items())))
            at_ms = min(max(exemplar.at_ms, 0), _LARGEST_TIME_MS)  # a collector may give any time
            series.exemplars.add(labels_refs=pairs, value=float(exemplar.value), timestamp=at_ms)
            exemplars += 1
    request.symbols.extend(symbols.texts)
    data = wrap(request.SerializeToString())
    return Body(data, samples=len(samples) - histograms, histograms=histograms, exemplars=exemplars)


FORMAT = PushFormat(
    name="remote write 2.0",
    headers=HEADERS,
    items="samples",
    has_native=True,
    write_requests=write_requests,
    zero_requests=zero_requests,
    body_of=body_of,
    title_of=title_of,
)


class _Symbols:
    """The texts of a request, each once. The first is the empty one."""

    def __init__(self) -> None:
        self._numbers = {"": 0}

    @property
    def texts(self) -> list[str]:
        return list(self._numbers)

    def number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    def pairs(self, labels: Mapping[str, str]) -> list[int]:
        return [self.number(text) for pair in labels.items() for text in pair]


def _histogram(counts: NativeCounts, at_ms: int) -> Histogram:
    histogram = Histogram(
        count_int=held(counts.count),
        sum=counts.sum,
        schema=counts.schema,
        zero_threshold=counts.zero_threshold,
        zero_count_int=held(counts.zero_count),
        timestamp=at_ms,
    )
    fill_side(histogram.positive_spans, histogram.positive_deltas, counts.positive)
    fill_side(histogram.negative_spans, histogram.negative_deltas, counts.negative)
    return histogram
