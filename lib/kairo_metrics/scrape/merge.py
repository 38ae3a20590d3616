"""Series of one family from several shards and schemas, merged into one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..model.encoding import SeriesNumbers
from ..model.leases import fold_rule, residual_text
from ..model.merging import merge_series, rebin
from ..model.schema import Schema
from ..model.snapshot import IndexEntry, Snapshot
from .decode import SeriesDecoder
from .selection import Selection

__all__ = ["Decoded", "MergedFamily", "merge_families"]

# Series may be created while a page is being read, after it has read the clock. No page takes as long.
_LONGEST_READING_MS = 300_000


@dataclass(frozen=True, slots=True)
class Decoded:
    """The series that were read.

    Args:
        decoders: by index entry, its series.
        foreign: by index entry, how many of its keys hold another Redis type than a hash.
    """

    decoders: Mapping[IndexEntry, SeriesDecoder]
    foreign: Mapping[IndexEntry, int]


@dataclass(frozen=True, slots=True)
class MergedFamily:
    """One family, as it is stored.

    Args:
        schema: the schema that it is served under.
        series: label text -> the numbers of the packed line.
        exemplars: the stored exemplars, one part for each shard.
        created: label text -> when the series began, in ms since 1970.
        began: as in `Family`.
        damaged: series that could not be decoded.
        mixed: whether they come from schemas with different label names.
    """

    schema: Schema
    series: SeriesNumbers
    exemplars: Sequence[SeriesNumbers] = ()
    created: Mapping[bytes, int] = field(default_factory=dict)
    began: Mapping[bytes, int] = field(default_factory=dict)
    damaged: int = 0
    mixed: bool = False


def merge_families(selection: Selection, decoded: Decoded, clocks: Snapshot | None = None) -> list[MergedFamily]:
    """Merge the decoded series, family by family. The series of the decoders become those of the families.

    Args:
        selection: the families.
        decoded: their series.
        clocks: the clocks and the recoveries of the shards, if the page needs to know when each series began.
    """
    merged = []
    for kind, entries in selection.entries.items():
        served = selection.served[kind]
        decoders = [decoded.decoders[entry] for entry in entries]
        schemas = [entry.schema for entry in entries]
        merged.append(
            MergedFamily(
                served,
                _merge_decoders(served, schemas, decoders),
                [decoded.decoders[entry].series for entry in selection.exemplars.get(kind, ())],
                _earliest(decoder.created for decoder in decoders),
                _earliest(_began(entry, decoded.decoders[entry], clocks) for entry in entries) if clocks else {},
                sum(decoded.foreign.get(entry, 0) for entry in entries) + sum(decoder.damaged for decoder in decoders),
                len({schema.labelnames for schema in schemas}) > 1,
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


def _earliest(parts: Iterable[Mapping[bytes, int]]) -> dict[bytes, int]:
    """Return when each series began: the earliest time of all shards."""
    earliest: dict[bytes, int] = {}
    for part in parts:
        for text, at_ms in part.items():
            earliest[text] = min(at_ms, earliest.get(text, at_ms))
    return earliest


def _began(entry: IndexEntry, decoder: SeriesDecoder, clocks: Snapshot) -> dict[bytes, int]:
    """Return when each series of a shard began, by the page's clock; 0 if that is not certain.

    It is not if the series was perhaps lost and sent again, or if the time is in the future: then it is damaged.
    """
    clock_ms = clocks.clock_ms(entry.shard)
    recovery = clocks.recoveries[entry.shard] if entry.shard < len(clocks.recoveries) else None
    return {
        text: 0
        if at_ms > clock_ms + _LONGEST_READING_MS or (recovery and recovery.may_have_brought(at_ms))
        else at_ms + clocks.now_ms - clock_ms
        for text, at_ms in decoder.created.items()
    }


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
