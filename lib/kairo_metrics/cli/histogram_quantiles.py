"""A histogram's quantiles, as Prometheus estimates them, and its picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

__all__ = ["bars", "quantile"]

_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"


def quantile(share: float, bounds: Sequence[float], counts: Sequence[int]) -> float:
    """Estimate the value that this share of the observations does not exceed; NaN where there are none.

    Within a bucket observations are taken to be spread evenly, from zero in a first one that ends above it; beyond the
    last finite bound there is only that bound to tell.

    Args:
        share: 0.95 for the 95th percentile; above 0.
        bounds: the upper bounds, the last one infinite.
        counts: observations in each bucket, not cumulative.

    Source: `histogram_quantile` in https://prometheus.io/docs/prometheus/latest/querying/functions/

    Example:
        >>> quantile(0.5, [0.1, 0.5, math.inf], [4, 4, 0])
        0.1
    """
    total = sum(counts)
    if not total:
        return math.nan
    rank = share * total
    cumulative = list(accumulate(counts))
    number = next((n for n, below in enumerate(cumulative) if below >= rank), len(counts) - 1)
    upper = bounds[number]
    if math.isinf(upper):
        return bounds[number - 1] if number else math.nan
    if number == 0 and upper <= 0:
        return upper
    lower = bounds[number - 1] if number else 0.0
    below = cumulative[number - 1] if number else 0
    return lower + (upper - lower) * ((rank - below) / counts[number])


def bars(counts: Sequence[int], width: int, *, blocks: bool) -> list[str]:
    """Draw a bar for each count, the largest one over the whole width; whatever is not zero is seen.

    Args:
        counts: what to draw.
        width: columns.
        blocks: whether there are characters for an eighth of a column.

    Example:
        >>> bars([4, 2, 0], 4, blocks=False)
        ['####', '##', '']
    """
    largest = max(counts, default=0) or 1
    if not blocks:
        return ["#" * math.ceil(count / largest * width) for count in counts]
    drawn = []
    for count in counts:
        whole, rest = divmod(math.ceil(count / largest * width * 8), 8)
        drawn.append(_FULL * whole + (_EIGHTHS[rest] if rest else ""))
    return drawn
