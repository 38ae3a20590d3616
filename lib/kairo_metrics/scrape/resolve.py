"""Stored numbers as the page shows them: gauges that instances share, infos, enums and exemplars.

Source: prometheus_client's documentation, "Multiprocess Mode". An instance stands for a process here, and its lease for
the life of the process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..exposition.family import Exemplar, Family
from ..model.encoding import SeriesNumbers, info_text, label_text, number_text
from ..model.labels import LABELS_PATTERN, label_pairs
from ..model.leases import without_instance
from ..model.schema import Schema
from .merge import MergedFamily

__all__ = ["Resolved", "ResolvedFamily", "resolve", "resolve_family"]

_LABELS = re.compile(rb"(?:" + LABELS_PATTERN + rb")?")


@dataclass(slots=True)
class Resolved:
    """The series of a family as the page shows them.

    Args:
        series: label text -> number.
        damaged: series that hold nothing that a page can show.
    """

    series: SeriesNumbers = field(default_factory=dict)
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class ResolvedFamily:
    """A family as the page shows it.

    Args:
        family: ready to be printed.
        damaged: series that were left out because what is stored of them is damaged.
    """

    family: Family
    damaged: int


def resolve_family(merged: MergedFamily, *, dated: bool = False, with_created: bool = True) -> ResolvedFamily:
    """Return a merged family as the page shows it.

    Args:
        merged: the family as it is stored.
        dated: whether to tell when each value was set. It is needed where two series may be printed alike.
        with_created: whether the format prints when each series began.
    """
    schema, resolved = merged.schema, resolve(merged.schema, merged.series)
    set_at = _set_times(schema, merged.series) if dated else {}
    created = merged.created if with_created else {}
    family = Family(schema, resolved.series, _exemplars(merged), created, set_at, merged.mixed, began=merged.began)
    return ResolvedFamily(family, merged.damaged + resolved.damaged)


def _exemplars(merged: MergedFamily) -> Mapping[bytes, Mapping[int, Exemplar]]:
    """Return the exemplars that a page can show: those of a counter, and of the buckets of a histogram."""
    schema = merged.schema
    places = {"counter": range(1, 2), "histogram": range(2, 2 + len(schema.bounds))}.get(schema.type, range(0))
    if not (merged.exemplars and places):
        return {}
    from .exemplars import read_exemplars  # the plain text format shows none

    found = read_exemplars(schema.exemplars, merged.exemplars)
    return {
        text: {place: exemplar for place, exemplar in by_place.items() if place in places}
        for text, by_place in found.items()
    }


def resolve(schema: Schema, series: SeriesNumbers) -> Resolved:
    """Return the series of a family as the page shows them.

    Args:
        schema: the family. Only gauges, infos and statesets are stored in another form than they are shown in.
        series: label text -> the stored numbers.

    Example:
        >>> schema = Schema("load", "gauge", ("instance_id",), mode="livemax")
        >>> resolve(schema, {b'instance_id="a"': b"2 17", b'instance_id="b"': b"5 16"}).series
        {b'': b'5'}
    """
    match schema.type:
        case "info":
            return _infos(schema, series)
        case "stateset":
            return _statesets(schema, series)
        case "gauge":
            return Resolved(_gauges(schema, series))
    return Resolved(series)


def _gauges(schema: Schema, series: SeriesNumbers) -> SeriesNumbers:
    if schema.rule == "sum":
        return {text: _total(numbers) for text, numbers in series.items()}
    mode = schema.mode.removeprefix("live")
    if not schema.per_instance or mode == "all":
        # The time at which it was set is not shown.
        return {text: numbers.split()[0] for text, numbers in series.items()}
    groups: dict[bytes, list[bytes]] = {}
    for text, numbers in series.items():
        groups.setdefault(without_instance(text), []).append(numbers)
    merged = {text: _ONE_OF_ALL[mode](group) for text, group in groups.items()}
    return {text: number for text, number in merged.items() if number is not None}


def _set_times(schema: Schema, series: SeriesNumbers) -> dict[bytes, int]:
    """Return when each value was set that the page shows, in ms since 1970."""
    if schema.rule != "latest":
        return {}
    found: dict[bytes, int] = {}
    grouped = schema.per_instance and schema.mode not in {"all", "liveall"}
    states = _state_texts(schema)
    for text, numbers in series.items():
        shown = without_instance(text) if grouped else text
        for key in [_joined(text, state) for state in states] or [shown]:
            found[key] = max(_set_at(numbers), found.get(key, 0))
    return found


def _value(numbers: bytes) -> float:
    return float(numbers.split()[0])


def _set_at(numbers: bytes) -> int:
    return int(numbers.split()[1])


def _total(numbers: bytes) -> bytes:
    finite, infinite, minus_infinite, no_number = numbers.split()
    holds = [float(count) > 0 for count in (infinite, minus_infinite, no_number)]
    if holds[2] or (holds[0] and holds[1]):
        return b"NaN"
    if holds[0] or holds[1]:
        return b"+Inf" if holds[0] else b"-Inf"
    return finite


def _lowest(group: list[bytes]) -> bytes:
    return min(group, key=_value).split()[0]


def _highest(group: list[bytes]) -> bytes:
    return max(group, key=_value).split()[0]


def _sum(group: list[bytes]) -> bytes:
    return number_text(sum(map(_value, group))).encode()


def _latest(group: list[bytes]) -> bytes | None:
    """Return the value that was set last; None if none was ever set."""
    latest = max(group, key=_set_at)
    return latest.split()[0] if _set_at(latest) else None


_ONE_OF_ALL: dict[str, Callable[[list[bytes]], bytes | None]] = {
    "min": _lowest,
    "max": _highest,
    "sum": _sum,
    "mostrecent": _latest,
}


def _infos(schema: Schema, series: SeriesNumbers) -> Resolved:
    resolved = Resolved()
    for text, numbers in series.items():
        labels = info_text(numbers.split()[0])
        if _LABELS.fullmatch(labels) and _can_be_printed(schema.labelnames, labels):
            resolved.series[_joined(text, labels)] = b"1"
        else:
            resolved.damaged += 1
    return resolved


def _can_be_printed(labelnames: Sequence[str], labels: bytes) -> bool:
    """Tell whether the labels of an info can be printed with those of its series. Scrapers refuse a repeated label."""
    try:
        names = [*labelnames, *(name for name, _ in label_pairs(labels.decode()))]
    except UnicodeDecodeError:
        return False
    return len(set(names)) == len(names) and {"", "__name__"}.isdisjoint(names)


def _statesets(schema: Schema, series: SeriesNumbers) -> Resolved:
    states = _state_texts(schema)
    resolved = Resolved()
    for text, numbers in series.items():
        current = float(numbers.split()[0])
        for number, state in enumerate(states):
            resolved.series[_joined(text, state)] = b"%d" % (number == current)
    return resolved


def _state_texts(schema: Schema) -> list[bytes]:
    return [label_text([schema.name], [state]).encode() for state in schema.states]


def _joined(*texts: bytes) -> bytes:
    return b",".join(filter(None, texts))
