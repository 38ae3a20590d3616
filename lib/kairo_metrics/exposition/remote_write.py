"""Remote write 1.0: a page as the samples that Prometheus would have read from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .page import Page
from .push_format import Body, PushFormat
from .pushed_samples import PushedSample, in_requests, pushed_samples, title_of
from .remote_write_pb2 import TimeSeries, WriteRequest
from .snappy import wrap

__all__ = ["FORMAT", "HEADERS", "body_of", "write_requests", "zero_requests"]

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


def write_requests(page: Page, target_labels: Mapping[str, str]) -> Iterator[list[PushedSample]]:
    """Return the samples of a page, in as many lists as Prometheus would send requests.

    A sample has the labels that a scrape would give it: those of the target, and its own. If both have a label of one
    name, its own becomes `exported_<name>`. Empty labels are left out.

    Args:
        page: the page to send. Its time is that of all samples.
        target_labels: `job`, `instance` and other labels that tell this target from others.

    Source: https://prometheus.io/docs/specs/prw/remote_write_spec/

    Example:
        >>> from ..model.schema import Schema
        >>> from .family import Family
        >>> jobs = Family(Schema("jobs", "counter", ("queue",)), {b'queue="a"': b"3"})
        >>> page = Page((jobs,), at_ms=1764000000000)
        >>> [(len(samples), len(body_of(samples))) for samples in write_requests(page, {"job": "kairo"})]
        [(1, 74)]
    """
    return in_requests(pushed_samples(page, target_labels, native=False))


def zero_requests(page: Page, target_labels: Mapping[str, str], since_ms: int) -> Iterator[list[PushedSample]]:
    """Return a zero for each sample of the new counters, histograms and summaries, at the time when they began.

    Without it `increase` would not see what a series counted before its first push. A zero that the receiver has
    already is the same again, as long as no later sample has followed it. So the zeros are sent before the values, in
    requests of their own.

    Args:
        page: families that tell when their series began.
        target_labels: as in `write_requests`.
        since_ms: series that began after this time are new, in ms since 1970.

    Example:
        >>> from ..model.schema import Schema
        >>> from .family import Family
        >>> jobs = Family(Schema("jobs", "counter"), {b"": b"5"}, began={b"": 1764000000000})
        >>> [[zero]] = zero_requests(Page((jobs,), at_ms=1764000009000), {}, since_ms=1763999990000)
        >>> zero.value, zero.at_ms
        (0.0, 1764000000000)
    """
    return in_requests(pushed_samples(page, target_labels, native=False, zeros_since_ms=since_ms))


def body_of(samples: Sequence[PushedSample]) -> Body:
    """Return the body of a request that carries these samples."""
    request = WriteRequest(timeseries=map(_time_series, samples))
    return Body(wrap(request.SerializeToString()), samples=len(samples))


FORMAT = PushFormat(
    name="remote write 1.0",
    headers=HEADERS,
    items="samples",
    has_native=False,
    write_requests=write_requests,
    zero_requests=zero_requests,
    body_of=body_of,
    title_of=title_of,
)


def _time_series(sample: PushedSample) -> TimeSeries:
    series = TimeSeries()
    for label, value in sample.labels.items():
        series.labels.add(name=label, value=value)
    series.samples.add(value=sample.value, timestamp=sample.at_ms)
    return series
