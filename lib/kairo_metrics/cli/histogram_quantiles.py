"""Quantiles of classic and native histograms, estimated as Prometheus does.

Source: `histogram_quantile` in https://prometheus.io/docs/prometheus/latest/querying/functions/
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ..model.native_counts import NativeCounts, upper_bound

__all__ = ["NativeBucket", "bucket_of", "classic_quantile", "native_buckets", "native_quantile"]


@dataclass(frozen=True, slots=True)
class NativeBucket:
    """One bucket of a native histogram: its two bounds, and the observations between them."""

    lower: float
    upper: float
    count: int


def bucket_of(share: float, counts: Sequence[int]) -> int:
    """Return the number of the bucket, from 0, that a quantile lies in.

    Args:
        share: 0.95 for the 95th percentile; above 0.
        counts: observations in each bucket, not cumulative.

    Example:
        >>> bucket_of(0.95, [3, 5, 2])
        2
    """
    rank = share * sum(counts)
    return next((number for number, below in enumerate(accumulate(counts)) if below >= rank), len(counts) - 1)


def classic_quantile(share: float, bounds: Sequence[float], counts: Sequence[int]) -> float:
    """Estimate a quantile of a classic histogram; NaN if it has no observations.

    Observations are taken to be spread evenly over a bucket. The first bucket begins at zero if it ends above zero. A
    quantile beyond the last finite bound is estimated as that bound.

    Args:
        share: 0.95 for the 95th percentile; above 0.
        bounds: the upper bounds, the last one infinite.
        counts: observations in each bucket, not cumulative.

    Example:
        >>> classic_quantile(0.5, [0.1, 0.5, math.inf], [4, 4, 0])
        0.1
    """
    if not sum(counts):
        return math.nan
    number = bucket_of(share, counts)
    upper = bounds[number]
    if math.isinf(upper):
        return bounds[number - 1] if number else math.nan
    if number == 0 and upper <= 0:
        return upper
    lower = bounds[number - 1] if number else 0.0
    return lower + (upper - lower) * ((share * sum(counts) - sum(counts[:number])) / counts[number])


def native_buckets(counts: NativeCounts) -> list[NativeBucket]:
    """Return the buckets that hold observations, in rising order.

    Example:
        >>> counts = NativeCounts(schema=0, zero_threshold=0.001)
        >>> for amount in (0, 3, 4): counts.observe(amount)
        >>> native_buckets(counts)
        [NativeBucket(lower=-0.001, upper=0.001, count=1), NativeBucket(lower=2.0, upper=4.0, count=2)]
    """
    bounds = {index: _bounds(index, counts.schema) for index in {*counts.positive, *counts.negative}}
    negative = (
        NativeBucket(-bounds[index][1], -bounds[index][0], counts.negative[index])
        for index in sorted(counts.negative, reverse=True)
    )
    positive = (NativeBucket(*bounds[index], counts.positive[index]) for index in sorted(counts.positive))
    zero = NativeBucket(-counts.zero_threshold, counts.zero_threshold, counts.zero_count)
    return [bucket for bucket in (*negative, zero, *positive) if bucket.count]


def _bounds(index: int, schema: int) -> tuple[float, float]:
    """Return the bounds of a positive bucket. The largest float ends the last finite bucket."""
    largest = sys.float_info.max
    lower, upper = min(upper_bound(index - 1, schema), largest), upper_bound(index, schema)
    return lower, upper if lower == largest else min(upper, largest)


def native_quantile(share: float, counts: NativeCounts) -> float:
    """Estimate a quantile of a native histogram; NaN if it has no observations.

    Observations are taken to be spread evenly over the exponents of a bucket, and evenly over the zero bucket.

    Args:
        share: 0.95 for the 95th percentile; from 0 to 1.
        counts: what the histogram holds.

    Example:
        >>> counts = NativeCounts(schema=0, zero_threshold=0.001)
        >>> for amount in (1, 1.5, 2, 4): counts.observe(amount)
        >>> round(native_quantile(0.5, counts), 6)
        1.414214
    """
    buckets = native_buckets(counts)
    if not buckets:
        return math.nan
    # As Prometheus does: from the nearer end, which decides where the quantile lies between two buckets.
    if share < 0.5 or math.isnan(counts.sum):  # noqa: PLR2004
        bucket, beyond = _reached(buckets, share * counts.count)
        fraction = 1 - beyond / bucket.count
    else:
        bucket, beyond = _reached(reversed(buckets), (1 - share) * counts.count)
        fraction = beyond / bucket.count
    lower, upper = bucket.lower, bucket.upper
    if lower < 0 < upper:  # the zero bucket, which ends at zero if all observations have one sign
        lower = 0.0 if counts.positive and not counts.negative else lower
        upper = 0.0 if counts.negative and not counts.positive else upper
    if lower <= 0 <= upper:
        return lower + (upper - lower) * fraction
    return _between(lower, upper, fraction)


def _reached(buckets: Iterable[NativeBucket], rank: float) -> tuple[NativeBucket, float]:
    """Return the bucket in which a count reaches the rank, and by how much the count is past the rank at its end."""
    count = 0
    for bucket in buckets:
        count += bucket.count
        if count >= rank:
            break
    return bucket, max(0.0, count - rank)


def _between(lower: float, upper: float, fraction: float) -> float:
    """Return the point of a bucket of one sign at this fraction of its exponents."""
    if math.isinf(lower) or math.isinf(upper):
        return lower if math.isinf(lower) else upper
    between: float = lower * (upper / lower) ** fraction
    return between
