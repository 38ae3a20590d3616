"""A page as a push sends it: its series with the labels of the target, each as a whole or as its samples."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import TypeVar

from ..model.encoding import label_text
from ..model.labels import labels_of
from ..model.merging import zero_numbers
from ..model.native_counts import NativeCounts
from .escaping import UNDERSCORES
from .family import Exemplar, Extras, Family
from .fitting import fitted
from .names import VALUE_SUFFIXES, name_of
from .page import Page
from .push_format import PER_REQUEST

__all__ = [
    "PushedSample",
    "PushedSeries",
    "in_requests",
    "pushed_samples",
    "pushed_series",
    "samples_of",
    "title",
    "title_of",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PushedSeries:
    """One series of a page, at one time.

    Args:
        family: its family, whose names are those that are pushed.
        own: its own labels.
        numbers: the numbers of its packed line.
        at_ms: the time of its numbers, in ms since 1970.
        began_ms: when it began at zero, in ms since 1970; 0 if that is not known.
        exemplars: the number's place in the line, from 1 -> its newest exemplar.
        names: the labels of its family if they are renamed alike in all series.
        target_labels: of this target.
    """

    family: Family
    own: Mapping[str, str]
    numbers: bytes
    at_ms: int
    began_ms: int
    exemplars: Mapping[int, Exemplar]
    names: frozenset[str]
    target_labels: Mapping[str, str]

    def labels(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return its labels, with more of them, joined with those of the target as Prometheus does.

        If both have a label of one name, its own becomes `exported_<name>`.
        """
        names = self.names.union(self.own, more)
        kept = {_kept_as(name, names, self.target_labels): value for name, value in (*self.own.items(), *more.items())}
        return kept | dict(self.target_labels)


@dataclass(frozen=True, slots=True)
class PushedSample:
    """One sample of a page.

    Args:
        family: its family.
        labels: its name as `__name__` and its labels, sorted by their names; none is empty.
        value: its number.
        at_ms: its time, in ms since 1970.
        began_ms: as in `PushedSeries`.
        exemplar: its newest exemplar.
        native: instead of the number, the counts of a native histogram.
    """

    family: Family
    labels: Mapping[str, str]
    value: float
    at_ms: int
    began_ms: int = 0
    exemplar: Exemplar | None = None
    native: NativeCounts | None = field(default=None)


def pushed_series(
    page: Page, target_labels: Mapping[str, str], *, native: bool, zeros_since_ms: int | None = None
) -> Iterator[PushedSeries]:
    """Return the series of a page; with a time, the zeros of those that began after it.

    Args:
        page: the page to send. Its time is that of all numbers.
        target_labels: `job`, `instance` and other labels that tell this target from others.
        native: whether native histograms are sent as such; else they are classic.
        zeros_since_ms: series that began after this time are new, in ms since 1970.
    """
    # Receivers of remote write 1.0 accept only the classic letters, and a series keeps its name in each protocol.
    for family in fitted(page, Extras(escaping=UNDERSCORES, native=native)).families:
        names = _label_names(family)
        for text, numbers in family.series.items():
            began_ms, at_ms = family.began.get(text, 0), page.at_ms
            if began_ms > page.at_ms:
                continue  # it began while the page was read: the next push has its zero and its value
            if began_ms := began_ms or _collected_ms(family, text):
                began_ms = min(began_ms, page.at_ms - 1)  # no two samples of a series may have one time
            exemplars = family.exemplars.get(text, {})
            if zeros_since_ms is not None:
                if family.began.get(text, 0) <= zeros_since_ms:
                    continue
                numbers, at_ms, exemplars = zero_numbers(family.schema, numbers), began_ms, {}  # noqa: PLW2901
            own = labels_of(text.decode())
            yield PushedSeries(family, own, numbers, at_ms, began_ms, exemplars, names, target_labels)


def pushed_samples(
    page: Page, target_labels: Mapping[str, str], *, native: bool, zeros_since_ms: int | None = None
) -> Iterator[PushedSample]:
    """Return the samples of `pushed_series`: those that the text format prints, and native histograms."""
    for series in pushed_series(page, target_labels, native=native, zeros_since_ms=zeros_since_ms):
        yield from samples_of(series)


def samples_of(series: PushedSeries) -> Iterator[PushedSample]:
    """Return the samples of one series."""
    family = series.family
    if family.schema.type == "native":
        labels = _labels(series, "", {})
        counts = NativeCounts.parse(series.numbers.decode().split())
        yield PushedSample(family, labels, 0, series.at_ms, series.began_ms, native=counts)
        return
    for place, suffix, more, value in _samples(family, series.numbers):
        labels = _labels(series, suffix, more)
        yield PushedSample(family, labels, value, series.at_ms, series.began_ms, series.exemplars.get(place))


def in_requests(parts: Iterable[T]) -> Iterator[list[T]]:
    """Return parts in lists of the size of a request."""
    left = iter(parts)
    while some := list(islice(left, PER_REQUEST)):
        yield some


def title_of(sample: PushedSample) -> str:
    """Return the name and the labels of a sample, as in a query."""
    return title(sample.labels)


def title(labels: Mapping[str, str]) -> str:
    """Return a name and labels as in a query.

    Example:
        >>> title({"__name__": "jobs_total", "queue": "mail"})
        'jobs_total{queue="mail"}'
    """
    own = {label: value for label, value in labels.items() if label != "__name__"}
    return f"{labels.get('__name__', '')}{{{label_text(list(own), own.values())}}}"


def _collected_ms(family: Family, text: bytes) -> int:
    """Return when a collector says that a series began. The store says it of all others."""
    return 0 if text in family.began else max(0, family.created.get(text, 0))


def _labels(series: PushedSeries, suffix: str, more: Mapping[str, str]) -> dict[str, str]:
    labels = {"__name__": name_of(series.family, suffix), **series.labels(more)}
    return {name: labels[name] for name in sorted(labels) if labels[name]}


def _samples(family: Family, numbers: bytes) -> Iterator[tuple[int, str, dict[str, str], float]]:
    """Return of each sample the place of its exemplar, the end of its name, labels beyond its series', and the value.

    A place of 0 has no exemplar.
    """
    match family.schema.type:
        case "histogram" | "gaugehistogram" as kind:
            observed, *counts = numbers.split()
            cumulative = list(accumulate(map(int, counts)))
            for place, (bound, count) in enumerate(zip(family.schema.bounds, cumulative, strict=True), start=2):
                yield place, "_bucket", {"le": bound}, count
            of_gauge = "g" if kind == "gaugehistogram" else ""
            yield 0, f"_{of_gauge}count", {}, cumulative[-1]
            # A sum of negative observations can fall, so it is no counter.
            if of_gauge or float(family.schema.bounds[0]) >= 0:
                yield 0, f"_{of_gauge}sum", {}, float(observed)
        case "summary":
            counted, observed, *at_quantiles = numbers.split()
            for quantile, value in zip(family.schema.bounds, at_quantiles, strict=True):
                yield 0, "", {"quantile": quantile}, float(value)
            if counted != b"NaN":  # a collector may give quantiles alone
                yield 0, "_count", {}, float(counted)
                yield 0, "_sum", {}, float(observed)
        case other:
            yield 1, VALUE_SUFFIXES.get(other, ""), {}, float(numbers)


def _label_names(family: Family) -> frozenset[str]:
    """Return the labels of all series if they have different ones: each is renamed in the same way in all of them."""
    if not (family.mixed or family.schema.type == "info"):
        return frozenset()
    return frozenset(name for text in family.series for name in labels_of(text.decode()))


def _kept_as(label: str, own: Collection[str], target_labels: Collection[str]) -> str:
    if label in target_labels:
        while label in own or label in target_labels:
            label = f"exported_{label}"
    return label
