"""Remote write 1.0: a scrape as the samples that Prometheus would have made of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice

from ..store.labels import labels_of
from .classic import as_classic
from .family import Family
from .names import UNDERSCORES, escaped
from .remote_write_pb2 import TimeSeries, WriteRequest
from .samples import sample_lines
from .snappy import wrap

__all__ = ["HEADERS", "write_requests"]

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
# As many as Prometheus itself sends at once.
_SERIES_PER_REQUEST = 2_000

_LINE = re.compile(rb"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)", re.DOTALL)


def write_requests(
    families: Iterable[Family], target_labels: Mapping[str, str], at_ms: int
) -> Iterator[tuple[int, bytes]]:
    """Build the bodies that carry families to a receiver, each with the number of its samples.

    A sample gets the labels that a scrape would give it: those of the target, where a label of the metric's own
    with such a name is kept as `exported_<name>`, and none that is empty.

    Args:
        families: of a scrape.
        target_labels: `job`, `instance` and whatever else tells this target from others.
        at_ms: the samples' time, in ms since 1970.

    Source: https://prometheus.io/docs/specs/prw/remote_write_spec/

    Example:
        >>> from lib.kairo_metrics.store.schema import Schema
        >>> jobs = Family(Schema("jobs", "counter", ("queue",)), {b'queue="a"': b"3"})
        >>> [(samples, len(body)) for samples, body in write_requests([jobs], {"job": "kairo"}, 1764000000000)]
        [(1, 74)]
    """
    series = _series(families, target_labels, at_ms)
    while some := list(islice(series, _SERIES_PER_REQUEST)):
        yield len(some), wrap(WriteRequest(timeseries=some).SerializeToString())


def _series(families: Iterable[Family], target_labels: Mapping[str, str], at_ms: int) -> Iterator[TimeSeries]:
    for family in families:
        # Receivers of this version know the classic letters only.
        for lines in sample_lines(escaped(as_classic(family), UNDERSCORES), strict=False):
            for line in lines.removesuffix(b"\n").split(b"\n"):
                yield _one(line, target_labels, at_ms)


def _one(line: bytes, target_labels: Mapping[str, str], at_ms: int) -> TimeSeries:
    """Read a printed sample again: what a scrape shows is what is pushed."""
    parts = _LINE.fullmatch(line)
    if parts is None:
        raise ValueError(f"not a sample: {line!r}")
    name, text, value = parts.groups(default=b"")
    labels = {"__name__": name.decode()}
    own = labels_of(text.decode())
    labels |= {_kept_as(label, own.keys(), target_labels): given for label, given in own.items()} | dict(target_labels)
    series = TimeSeries()
    for label in sorted(filter(labels.get, labels)):
        series.labels.add(name=label, value=labels[label])
    series.samples.add(value=float(value), timestamp=at_ms)
    return series


def _kept_as(label: str, own: Collection[str], target_labels: Collection[str]) -> str:
    """Make way for the target's label of that name, as Prometheus does."""
    if label in target_labels:
        while label in own or label in target_labels:
            label = f"exported_{label}"
    return label
