"""Two lines of one series become one, and histograms are put under other bounds."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from .encoding import SeriesNumbers, number_text
from .schema import Schema

__all__ = ["join_numbers", "merge_series", "rebin", "zero_numbers"]


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
            merged[text] = numbers if held is None else join_numbers(schema, held, numbers)
    return merged


def join_numbers(schema: Schema, one: bytes, other: bytes) -> bytes:
    """Return the numbers of two lines of one series as those of one line: the sum, or what was set last."""
    if schema.rule == "native":
        from .native_counts import NativeCounts  # most pages have no native histogram

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


def zero_numbers(schema: Schema, numbers: bytes) -> bytes:
    """Return the numbers that a counter, a histogram or a summary had before it counted anything.

    Example:
        >>> zero_numbers(Schema("wait", "summary"), b"3 1.5")
        b'0 0'
    """
    if schema.rule == "native":
        from .native_counts import NativeCounts  # most pages have no native histogram

        counts = NativeCounts.parse(numbers.decode().split())
        return NativeCounts(counts.schema, counts.zero_threshold).text().encode()
    return b" ".join([b"0"] * len(numbers.split()))


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
