"""A native histogram as a classic one, for scrapers that take no other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..store.native import NativeCounts, upper_bound
from ..store.notation import number_text
from .family import Family

__all__ = ["as_classic", "classic_counts"]


def as_classic(family: Family) -> Family:
    """Return the family under the bounds of its schema.

    The cumulative count at a bound is that of the buckets which lie wholly at or below it, so it never falls when the
    resolution does.
    """
    if family.schema.type != "native":
        return family
    bounds = [float(bound) for bound in family.schema.bounds]
    rows = {}
    for text, line in family.rows.items():
        counts = NativeCounts.parse(line.decode().split())
        numbers = [number_text(counts.sum), *map(str, classic_counts(counts, bounds))]
        rows[text] = " ".join(numbers).encode()
    return replace(family, schema=replace(family.schema, type="histogram"), rows=rows)


def classic_counts(counts: NativeCounts, bounds: Iterable[float]) -> Iterator[int]:
    """Return the observations of each classic bucket, not cumulative.

    Args:
        counts: what the native histogram holds.
        bounds: upper bounds, the last of which is infinite.

    Example:
        >>> counts = NativeCounts(0, 0.001)
        >>> for amount in (0.0, 0.3, 3, 100): counts.observe(amount)
        >>> list(classic_counts(counts, [0.5, 1, 4, float("inf")]))
        [2, 0, 1, 1]
    """
    tops = [(counts.zero_threshold, counts.zero_count)]
    tops += [(upper_bound(index, counts.schema), count) for index, count in counts.positive.items()]
    tops += [(-upper_bound(index - 1, counts.schema), count) for index, count in counts.negative.items()]
    below = 0
    for bound in bounds:
        total = counts.count if bound == float("inf") else sum(count for top, count in tops if top <= bound)
        yield total - below
        below = total
