"""Native histograms as classic ones, for formats without native histograms."""

from __future__ import annotations

from dataclasses import replace

from ..model.encoding import number_text
from ..model.native_counts import NativeCounts, classic_counts
from .family import Family

__all__ = ["as_classic"]


def as_classic(family: Family) -> Family:
    """Return the family as a classic histogram, under the bounds of its schema.

    The cumulative count at a bound is that of the native buckets which end at or below it.
    """
    if family.schema.type != "native":
        return family
    bounds = [float(bound) for bound in family.schema.bounds]
    rows = {}
    for text, line in family.series.items():
        counts = NativeCounts.parse(line.decode().split())
        numbers = [number_text(counts.sum), *map(str, classic_counts(counts, bounds))]
        rows[text] = " ".join(numbers).encode()
    return replace(family, schema=family.schema.changed(type="histogram"), series=rows)
