"""Series of one family from several shards and schemas, merged into one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from ..model.encoding import SeriesNumbers, number_text
from ..model.leases import fold_rule, residual_text
from ..model.schema import Schema
from ..model.snapshot import IndexEntry
from .decode import SeriesDecoder
from .selection import Selection

__all__ = ["Decoded", "MergedFamily", "merge_families", "merge_series", "rebin"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The series that were read.

    Args:
        decoders: by index entry, its series.
        foreign: by family, how many of its keys hold another Redis type than a hash.
    """

    decoders: Mapping[IndexEntry, SeriesDecoder]
    foreign: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class MergedFamily:
    """One family, as it is stored.

    Args:
        schema: the schema that it is served under.
        series: label text -> the numbers of the packed line.
        exemplars: the stored exemplars, one part for each shard.
        created: label text -> when the series began, in ms since 1970.
        damaged: series that could not be decoded.
    """

    schema: Schema
    series: SeriesNumbers
    exemplars: Sequence[SeriesNumbers] = ()
    created: Mapping[bytes, int] = field(default_factory=dict)
    damaged: int = 0


def merge_families(selection: Selection, decoded: Decoded) -> list[MergedFamily]:
    """Merge the decoded series, family by family. The series of the decoders become those of the families."""
    merged = []
    for name, entries in selection.entries.items():
        served = selection.served[name]
        decoders = [decoded.decoders[entry] for entry in entries]
        schemas = [entry.schema for entry in entries]
        merged.append(
            MergedFamily(
                served,
                _merge_decoders(served, schemas, decoders),
                [decoded.decoders[entry].series for entry in selection.exemplars.get(name, ())],
                _created(decoders),
                decoded.foreign.get(name, 0) + sum(decoder.damaged for decoder in decoders),
            )
        )
    return merged


def _merge_decoders(served: Schema, schemas: Sequence[Schema], decoders: Sequence[SeriesDecoder]) -> SeriesNumbers:
    parts = [
        rebin(decoder.series, schema, served)
        if served.type == "histogram" and schema.bounds != served.bounds
        else decoder.series
        for schema, decoder in zip(schemas, decoders, strict=True)
    ]
    series = merge_series(served, parts)
    for decoder in decoders:
        _fold(served, series, decoder.ended)
    return series


def _created(decoders: Iterable[SeriesDecoder]) -> dict[bytes, int]:
    """Return when each series began: the earliest time of all shards."""
    created: dict[bytes, int] = {}
    for decoder in decoders:
        for text, at_ms in decoder.created.items():
            created[text] = min(at_ms, created.get(text, at_ms))
    return created


def merge_series(schema: Schema, parts: Iterable[SeriesNumbers]) -> SeriesNumbers:
    """Merge the parts of one family into the first part that is not empty, and return that.

    Example:
        >>> merge_series(Schema("jobs", "counter"), [{b"": b"1"}, {b"": b"2.5"}])
        {b'': b'3.5'}
    """
    merged: SeriesNumbers = {}
    for part in parts:
        if not merged:
            merged = part
            continue
        for text, numbers in part.items():
            held = merged.get(text)
            merged[text] = numbers if held is None else _join(schema, held, numbers)
    return merged


def _join(schema: Schema, one: bytes, other: bytes) -> bytes:
    if schema.rule == "native":
        from ..model.native_counts import NativeCounts  # most pages have no native histogram

        counts = NativeCounts.parse(one.decode().split())
        counts.add(NativeCounts.parse(other.decode().split()))
        return counts.text().encode()
    if schema.rule != "sum":
        return max(one, other, key=lambda numbers: int(numbers.split()[1]))
    pairs = zip(schema.shape, one.split(), other.split(), strict=True)
    # Whole numbers are added as such, because a float does not hold large ones exactly.
    return b" ".join([b"%d" % (int(a) + int(b)) if letter in "iw" else _sum(a, b) for letter, a, b in pairs])


def _sum(one: bytes, other: bytes) -> bytes:
    return number_text(float(one) + float(other)).encode()


def rebin(series: SeriesNumbers, old: Schema, new: Schema) -> SeriesNumbers:
    """Put a histogram's counts under other bounds. Its count and its sum stay the same.

    The cumulative count at a new bound is the old one at the largest old bound that is not above it.

    Example:
        >>> old = Schema("wait", "histogram", (), ("1.0", "2.0", "+Inf"))
        >>> new = Schema("wait", "histogram", (), ("1.5", "+Inf"))
        >>> rebin({b"": b"9.5 1 2 3"}, old, new)
        {b'': b'9.5 1 5'}
    """
    old_bounds = [float(bound) for bound in old.bounds]
    # For each new bound, the number of old buckets that end at or below it.
    below = [sum(bound <= float(limit) for bound in old_bounds) for limit in new.bounds]
    rebinned: SeriesNumbers = {}
    for text, numbers in series.items():
        observed, *counts = numbers.split()
        cumulative = [0, *accumulate(map(int, counts))]
        at_bounds = [cumulative[buckets] for buckets in below]
        fresh = [upper - lower for lower, upper in zip([0, *at_bounds], at_bounds, strict=False)]
        rebinned[text] = b" ".join([observed, *(b"%d" % count for count in fresh)])
    return rebinned


def _fold(schema: Schema, series: SeriesNumbers, ended: SeriesNumbers) -> None:
    """Fold the values of ended instances into the one residual value that is kept for all of them.

    Args:
        schema: a gauge in which each instance has its own value.
        series: the values of instances that have not ended, and the residual.
        ended: the values of instances that have ended since the residual was written.
    """
    rule = fold_rule(schema) if ended else "forget"
    if rule == "forget":
        return
    for text, numbers in ended.items():
        kept_as = residual_text(text)
        kept = series.get(kept_as, numbers)
        better = {"min": min, "max": max, "latest": max}[rule]
        series[kept_as] = better(kept, numbers, key=_set_at if rule == "latest" else _value)


def _value(numbers: bytes) -> float:
    return float(numbers.split()[0])


def _set_at(numbers: bytes) -> int:
    return int(numbers.split()[1])
