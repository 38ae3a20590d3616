"""Which families, labels and label sets take the room, and which are written: an inventory, added up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...model.labels import labels_of
from .stored_series import Inventory, StoredFamily

__all__ = ["FamilyRank", "LabelRank", "SeriesRank", "rank_families", "rank_labels", "rank_series"]


@dataclass(frozen=True, slots=True)
class SeriesRank:
    """One label set of a family, over all shards and schemas.

    Args:
        family: its family's name.
        text: the label text.
        counted: observations of a histogram or summary, the sum of a counter; None for a gauge.
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
        values: how many different ones there are.
        top_value: the one that most series have.
        top_series: how many have it.
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
        type: counter, gauge, histogram or summary.
        series: how many label sets are stored.
        fullest: the most that one shard holds under one schema: that is what METRICS_MAX_SERIES limits.
        written: how many were written lately.
        counted: as of `SeriesRank`, added up.
        touched_ms: when one was last written; 0 where none is stored.
    """

    name: str
    type: str
    series: int
    fullest: int
    written: int
    counted: float | None
    touched_ms: int


def rank_series(inventory: Inventory) -> list[SeriesRank]:
    """Return every label set, those with most events first; gauges, which have none, by when they were written."""
    ranks = [rank for shelves in _by_family(inventory).values() for rank in _merged(shelves)]
    return sorted(ranks, key=lambda rank: (-(rank.counted or 0.0), -rank.touched_ms, rank.family, rank.text))


def rank_families(inventory: Inventory, window_ms: int) -> list[FamilyRank]:
    """Return every family, those with most series first.

    Args:
        inventory: what is stored.
        window_ms: what was written so long before now, in milliseconds, was written lately.
    """
    since_ms = inventory.snapshot.now_ms - window_ms
    families = []
    for name, shelves in _by_family(inventory).items():
        merged = _merged(shelves)
        counted = [rank.counted for rank in merged if rank.counted is not None]
        families.append(
            FamilyRank(
                name,
                shelves[-1].schema.type,
                len(merged),
                max(len(shelf.series) for shelf in shelves),
                sum(rank.touched_ms >= since_ms for rank in merged),
                sum(counted) if counted else None,
                max((rank.touched_ms for rank in merged), default=0),
            )
        )
    return sorted(families, key=lambda family: (-family.series, family.name))


def rank_labels(inventory: Inventory) -> list[LabelRank]:
    """Return every label of every family, those with most different values first."""
    ranks = []
    for name, shelves in _by_family(inventory).items():
        for label, values in _values(_merged(shelves)).items():
            [(top_value, top_series)] = values.most_common(1)
            ranks.append(LabelRank(name, label, len(values), top_value, top_series))
    return sorted(ranks, key=lambda rank: (-rank.values, rank.family, rank.label))


def _values(ranks: Iterable[SeriesRank]) -> Mapping[str, Counter[str]]:
    values: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for rank in ranks:
        for label, value in labels_of(rank.text).items():
            values[label][value] += 1
    return values


def _by_family(inventory: Inventory) -> Mapping[str, list[StoredFamily]]:
    families: defaultdict[str, list[StoredFamily]] = defaultdict(list)
    for shelf in inventory.shelves:
        families[shelf.schema.name].append(shelf)
    return families


def _merged(shelves: Iterable[StoredFamily]) -> list[SeriesRank]:
    """Join one family's label sets over its shards and schemas."""
    ranks: dict[bytes, SeriesRank] = {}
    for shelf in shelves:
        for series in shelf.series:
            held = ranks.get(series.text)
            counted = shelf.events(series)
            if held is not None:
                counted = counted if held.counted is None else held.counted + (counted or 0.0)
            ranks[series.text] = SeriesRank(
                shelf.schema.name,
                series.text.decode(),
                counted,
                min(series.created_ms, held.created_ms) if held else series.created_ms,
                max(series.touched_ms, held.touched_ms) if held else series.touched_ms,
            )
    return list(ranks.values())
