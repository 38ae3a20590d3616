"""Quantiles of values and of classic histograms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..history import NAME, Labels
from .vectors import Points, Scalar, Vector, collect, without

__all__ = ["bucket_quantile", "histogram_quantile", "quantile"]

_LE = "le"


def quantile(share: float, values: Sequence[float]) -> float:
    """Return a quantile of some values, interpolated between the two nearest.

    Example:
        >>> quantile(0.5, [1.0, 2.0, 4.0, 8.0])
        3.0
    """
    if not values or math.isnan(share):
        return math.nan
    if not 0 <= share <= 1:
        return math.copysign(math.inf, share)
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    rank = share * (len(ordered) - 1)
    low = max(0, math.floor(rank))
    high = min(len(ordered) - 1, low + 1)
    weight = rank - math.floor(rank)
    return ordered[low] * (1 - weight) + ordered[high] * weight


def bucket_quantile(share: float, buckets: Iterable[tuple[float, float]]) -> float:
    """Return a quantile of one histogram, from its cumulative buckets `(upper bound, count)` in rising order.

    Within a bucket, observations are assumed to be spread evenly. Source: Prometheus' documentation of
    `histogram_quantile`.

    Example:
        >>> bucket_quantile(0.5, [(1.0, 10.0), (2.0, 20.0), (float("inf"), 20.0)])
        1.0
    """
    bounds, counts = _monotone(buckets)
    if math.isnan(share) or len(bounds) < 2 or bounds[-1] != math.inf or not counts[-1]:  # noqa: PLR2004 (one is +Inf)
        return math.nan
    if not 0 <= share <= 1:
        return math.copysign(math.inf, share)
    rank = share * counts[-1]
    at = next((number for number, count in enumerate(counts[:-1]) if count >= rank), len(bounds) - 1)
    if at == len(bounds) - 1:
        return bounds[-2]
    if at == 0 and bounds[0] <= 0:
        return bounds[0]
    start, below = (bounds[at - 1], counts[at - 1]) if at else (0.0, 0.0)
    inside = counts[at] - below
    return start + (bounds[at] - start) * ((rank - below) / inside) if inside else math.nan


def histogram_quantile(share: Scalar, vector: Vector) -> Vector:
    """Return the quantile of each histogram: each group of series that differ only in `le`."""
    histograms: dict[Labels, list[tuple[float, Points]]] = {}
    for labels, points in vector.series.items():
        bound = _bound(dict(labels).get(_LE))
        if bound is not None:
            histograms.setdefault(without(labels, [NAME, _LE]), []).append((bound, points))
    return collect((labels, _each_step(share, buckets)) for labels, buckets in histograms.items())


def _each_step(share: Scalar, buckets: list[tuple[float, Points]]) -> Points:
    buckets.sort(key=lambda bucket: bucket[0])
    bounds = [bound for bound, _ in buckets]
    points: Points = []
    for wanted, counts in zip(share.points, zip(*(points for _, points in buckets), strict=True), strict=True):
        present = [(bound, count) for bound, count in zip(bounds, counts, strict=True) if count is not None]
        points.append(bucket_quantile(wanted, present) if present else None)
    return points


def _monotone(buckets: Iterable[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Add up buckets with the same bound, and raise a count that is below the one before: rates are not exact."""
    bounds: list[float] = []
    counts: list[float] = []
    for bound, count in buckets:
        if bounds and bounds[-1] == bound:
            counts[-1] += count
        else:
            bounds.append(bound)
            counts.append(count)
    highest = -math.inf
    for number, count in enumerate(counts):
        highest = max(highest, count)
        counts[number] = highest
    return bounds, counts


def _bound(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
