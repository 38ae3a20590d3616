"""Families, labels and label sets of a namespace, with their counts over all shards and schemas, ranked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...model.labels import labels_of
from .stored_series import StoredFamily, StoredNamespace

__all__ = ["FamilyRank", "LabelRank", "SeriesRank", "rank_families", "rank_labels", "rank_series"]


@dataclass(frozen=True, slots=True)
class SeriesRank:
    """One label set of a family, over all shards and schemas.

    Args:
        family: its family's name.
        text: the label text.
        counted: observations of a histogram or summary, the value of a counter; None for a gauge.
        created_ms: when it was first written, by the store's clock.
        touched_ms: when it was last written.
    """

    family: str
    text: str
    counted: float | None
    created_ms: int
    touched_ms: int


@dataclass(frozen=True, slots=True)
class LabelRank:
    """One label of a family.

    Args:
        family: the family's name.
        label: the label's name.
        values: how many different values it has.
        top_value: the value that most series have.
        top_series: how many series have it.
    """

    family: str
    label: str
    values: int
    top_value: str
    top_series: int


@dataclass(frozen=True, slots=True)
class FamilyRank:
    """One family.

    Args:
        name: its name, a counter's without `_total`.
        type: counter, gauge, histogram, native (a native histogram), summary, info or stateset.
        series: how many label sets are stored.
        fullest: the most series in one shard under one schema, which METRICS_MAX_SERIES limits.
        written: how many label sets were written lately.
        counted: the sum of `SeriesRank.counted`.
        touched_ms: when a series was last written; 0 if none is stored.
    """

    name: str
    type: str
    series: int
    fullest: int
    written: int
    counted: float | None
    touched_ms: int


def rank_series(stored: StoredNamespace) -> list[SeriesRank]:
    """Return every label set: first those that have counted most, then gauges, the last written first."""
    ranks = [rank for parts in _by_family(stored).values() for rank in _merged(parts)]
    return sorted(ranks, key=lambda rank: (-(rank.counted or 0.0), -rank.touched_ms, rank.family, rank.text))


def rank_families(stored: StoredNamespace, window_ms: int) -> list[FamilyRank]:
    """Return every family, those with most series first.

    Args:
        stored: the namespace.
        window_ms: how long ago a series may have been written to count as written lately, in ms.
    """
    since_ms = stored.snapshot.now_ms - window_ms
    families = []
    for name, parts in _by_family(stored).items():
        merged = _merged(parts)
        counted = [rank.counted for rank in merged if rank.counted is not None]
        families.append(
            FamilyRank(
                name,
                parts[-1].schema.type,
                len(merged),
                max(len(part.series) for part in parts),
                sum(rank.touched_ms >= since_ms for rank in merged),
                sum(counted) if counted else None,
                max((rank.touched_ms for rank in merged), default=0),
            )
        )
    return sorted(families, key=lambda family: (-family.series, family.name))


def rank_labels(stored: StoredNamespace) -> list[LabelRank]:
    """Return every label of every family, those with most values first."""
    ranks = []
    for name, parts in _by_family(stored).items():
        for label, values in _values(_merged(parts)).items():
            [(top_value, top_series)] = values.most_common(1)
            ranks.append(LabelRank(name, label, len(values), top_value, top_series))
    return sorted(ranks, key=lambda rank: (-rank.values, rank.family, rank.label))


def _values(ranks: Iterable[SeriesRank]) -> Mapping[str, Counter[str]]:
    values: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for rank in ranks:
        for label, value in labels_of(rank.text).items():
            values[label][value] += 1
    return values


def _by_family(stored: StoredNamespace) -> Mapping[str, list[StoredFamily]]:
    families: defaultdict[str, list[StoredFamily]] = defaultdict(list)
    for part in stored.families:
        families[part.schema.name].append(part)
    return families


def _merged(parts: Iterable[StoredFamily]) -> list[SeriesRank]:
    """Join the label sets of one family over its shards and schemas."""
    ranks: dict[bytes, SeriesRank] = {}
    for part in parts:
        for series in part.series:
            held = ranks.get(series.text)
            counted = part.events(series)
            if held is not None:
                counted = counted if held.counted is None else held.counted + (counted or 0.0)
            ranks[series.text] = SeriesRank(
                part.schema.name,
                series.text.decode(),
                counted,
                min(series.created_ms, held.created_ms) if held else series.created_ms,
                max(series.touched_ms, held.touched_ms) if held else series.touched_ms,
            )
    return list(ranks.values())
