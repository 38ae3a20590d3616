"""The figures that are shown of one histogram, classic or native: count, sum, quantiles and buckets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from ..model.native_counts import NativeCounts
from ..model.schema import Schema
from .formatting import finite, short
from .histogram_quantiles import bucket_of, classic_quantile, native_buckets, native_quantile

__all__ = ["SHARES", "HistogramFigures", "figures_of", "mean_text"]

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class HistogramFigures:
    """The figures of one histogram.

    Args:
        count: observations.
        sum: of what was observed.
        quantiles: estimates by name; NaN if there are no observations.
        unbounded: the quantiles that lie beyond the last bound of a classic histogram: only more than their estimate
            is known of them.
        buckets: for JSON. Classic: cumulative counts by `le` text, as on the page. Native: bounds and count of each.
    """

    count: int
    sum: float
    quantiles: Mapping[str, float]
    unbounded: frozenset[str]
    buckets: object

    def cells(self) -> tuple[object, ...]:
        """Return the cells of a table: count, mean and quantiles."""
        return self.count, mean_text(self.sum, self.count), *map(self._quantile_text, self.quantiles)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        estimates = {name: finite(value) for name, value in self.quantiles.items()}
        return {"count": self.count, "sum": finite(self.sum), "buckets": self.buckets, **estimates}

    def _quantile_text(self, name: str) -> str:
        value = self.quantiles[name]
        if math.isnan(value):
            return "-"
        return f"> {short(value)}" if name in self.unbounded else short(value)


def figures_of(schema: Schema, numbers: bytes) -> HistogramFigures:
    """Read the figures from the numbers of a packed line.

    Args:
        schema: of the type `histogram` or `native`.
        numbers: the line without its times.

    Example:
        >>> figures_of(Schema("wait", "histogram", (), ("1.0", "+Inf")), b"9.5 2 3").cells()
        (5, '1.9', '> 1', '> 1', '> 1')
    """
    words = numbers.decode().split()
    if schema.type == "native":
        return _native(NativeCounts.parse(words))
    total, *rest = words
    counts, bounds = [int(count) for count in rest], [float(bound) for bound in schema.bounds]
    return HistogramFigures(
        sum(counts),
        float(total),
        {name: classic_quantile(share, bounds, counts) for name, share in SHARES.items()},
        frozenset(name for name, share in SHARES.items() if bucket_of(share, counts) == len(counts) - 1),
        dict(zip(schema.bounds, accumulate(counts), strict=True)),
    )


def _native(counts: NativeCounts) -> HistogramFigures:
    return HistogramFigures(
        counts.count,
        counts.sum,
        {name: native_quantile(share, counts) for name, share in SHARES.items()},
        frozenset(),
        [
            {"lower": finite(bucket.lower), "upper": finite(bucket.upper), "count": bucket.count}
            for bucket in native_buckets(counts)
        ],
    )


def mean_text(total: float, count: int) -> str:
    """Print the mean of observations; a dash if there are none.

    Example:
        >>> mean_text(10.0, 4), mean_text(0.0, 0)
        ('2.5', '-')
    """
    return short(total / count) if count else "-"
