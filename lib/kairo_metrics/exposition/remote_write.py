"""Remote write 1.0: a page as the samples that Prometheus would have read from it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import accumulate, islice

from ..model.encoding import label_text
from ..model.labels import labels_of
from ..model.merging import zero_numbers
from .escaping import UNDERSCORES
from .family import Extras, Family
from .fitting import fitted
from .names import VALUE_SUFFIXES, name_of
from .page import Page
from .remote_write_pb2 import TimeSeries, WriteRequest
from .snappy import wrap

__all__ = ["HEADERS", "body_of", "title_of", "write_requests", "zero_requests"]

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
# As many as Prometheus sends in one request.
_SERIES_PER_REQUEST = 2_000

# The suffix of the name, the labels beyond those of the series, and the value.
_Sample = tuple[str, dict[str, str], float]


def write_requests(page: Page, target_labels: Mapping[str, str]) -> Iterator[list[TimeSeries]]:
    """Return the series of a page, one sample in each, in as many lists as Prometheus would send requests.

    A sample has the labels that a scrape would give it: those of the target, and its own. If both have a label of one
    name, its own becomes `exported_<name>`. Empty labels are left out.

    Args:
        page: the page to send. Its time is that of all samples.
        target_labels: `job`, `instance` and other labels that tell this target from others.

    Source: https://prometheus.io/docs/specs/prw/remote_write_spec/

    Example:
        >>> from ..model.schema import Schema
        >>> jobs = Family(Schema("jobs", "counter", ("queue",)), {b'queue="a"': b"3"})
        >>> page = Page((jobs,), at_ms=1764000000000)
        >>> [(len(series), len(body_of(series))) for series in write_requests(page, {"job": "kairo"})]
        [(1, 74)]
    """
    return _in_requests(_series(page, target_labels))


def zero_requests(page: Page, target_labels: Mapping[str, str], since_ms: int) -> Iterator[list[TimeSeries]]:
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
        >>> jobs = Family(Schema("jobs", "counter"), {b"": b"5"}, began={b"": 1764000000000})
        >>> [[zero]] = zero_requests(Page((jobs,), at_ms=1764000009000), {}, since_ms=1763999990000)
        >>> [(sample.value, sample.timestamp) for sample in zero.samples]
        [(0.0, 1764000000000)]
    """
    return _in_requests(_series(page, target_labels, since_ms))


def body_of(series: Sequence[TimeSeries]) -> bytes:
    """Return the body of a request that carries these series."""
    return wrap(WriteRequest(timeseries=series).SerializeToString())


def title_of(series: TimeSeries) -> str:
    """Return the name and the labels of a series, as in a query."""
    labels = {label.name: label.value for label in series.labels}
    name = labels.pop("__name__", "")
    return f"{name}{{{label_text(list(labels), labels.values())}}}"


def _in_requests(series: Iterator[TimeSeries]) -> Iterator[list[TimeSeries]]:
    while some := list(islice(series, _SERIES_PER_REQUEST)):
        yield some


def _series(page: Page, target_labels: Mapping[str, str], zeros_since_ms: int | None = None) -> Iterator[TimeSeries]:
    """Return the samples of a page; with a time, the zeros of the series that began after it."""
    # Receivers of this version accept only the classic letters.
    for family in fitted(page, Extras(escaping=UNDERSCORES)).families:
        names = _label_names(family)
        for text, numbers in family.series.items():
            began_ms, at_ms = family.began.get(text, 0), page.at_ms
            if began_ms > page.at_ms:
                continue  # it began while the page was read: the next push has its zero and its value
            if zeros_since_ms is not None:
                if began_ms <= zeros_since_ms:
                    continue
                numbers = zero_numbers(family.schema, numbers)  # noqa: PLW2901
                at_ms = min(began_ms, page.at_ms - 1)  # no two samples of a series may have one time
            own = labels_of(text.decode())
            for suffix, more, value in _samples(family, numbers):
                labels = _with_target({**own, **more}, names.union(own, more), target_labels)
                yield _time_series(name_of(family, suffix), labels, value, at_ms)


def _samples(family: Family, numbers: bytes) -> Iterator[_Sample]:
    """Return the samples of one series: those that the text format prints."""
    match family.schema.type:
        case "histogram":
            observed, *counts = numbers.split()
            cumulative = list(accumulate(map(int, counts)))
            for bound, count in zip(family.schema.bounds, cumulative, strict=True):
                yield "_bucket", {"le": bound}, count
            yield "_count", {}, cumulative[-1]
            if float(family.schema.bounds[0]) >= 0:  # a sum of negative observations can fall, so it is no counter
                yield "_sum", {}, float(observed)
        case "gaugehistogram":
            observed, *counts = numbers.split()
            cumulative = list(accumulate(map(int, counts)))
            for bound, count in zip(family.schema.bounds, cumulative, strict=True):
                yield "_bucket", {"le": bound}, count
            yield "_gcount", {}, cumulative[-1]
            yield "_gsum", {}, float(observed)
        case "summary":
            counted, observed, *at_quantiles = numbers.split()
            for quantile, value in zip(family.schema.bounds, at_quantiles, strict=True):
                yield "", {"quantile": quantile}, float(value)
            if counted != b"NaN":  # a collector may give quantiles alone
                yield "_count", {}, float(counted)
                yield "_sum", {}, float(observed)
        case other:
            yield VALUE_SUFFIXES.get(other, ""), {}, float(numbers)


def _label_names(family: Family) -> frozenset[str]:
    """Return the labels of all series if they have different ones: each is renamed in the same way in all of them."""
    if not (family.mixed or family.schema.type == "info"):
        return frozenset()
    return frozenset(name for text in family.series for name in labels_of(text.decode()))


def _with_target(own: Mapping[str, str], names: Collection[str], target_labels: Mapping[str, str]) -> dict[str, str]:
    """Join the labels of a sample and of the target as Prometheus does; `names` are those of the whole family."""
    return {_kept_as(name, names, target_labels): value for name, value in own.items()} | dict(target_labels)


def _kept_as(label: str, own: Collection[str], target_labels: Collection[str]) -> str:
    if label in target_labels:
        while label in own or label in target_labels:
            label = f"exported_{label}"
    return label


def _time_series(name: str, labels: Mapping[str, str], value: float, at_ms: int) -> TimeSeries:
    series = TimeSeries()
    for label, given in sorted({"__name__": name, **labels}.items()):
        if given:
            series.labels.add(name=label, value=given)
    series.samples.add(value=value, timestamp=at_ms)
    return series
