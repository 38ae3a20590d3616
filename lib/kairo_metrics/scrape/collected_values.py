"""The values of one series that a collector returned: whether a page can hold them, and how it writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from ..exposition.family import Exemplar
from ..model.encoding import number_text

__all__ = ["CREATED", "Values", "exemplar_places", "has_valid_values", "words_of"]

# The end of a sample's name, and the limit of a bucket or a quantile, None for other samples -> value.
Values = Mapping[tuple[str, float | None], float]
CREATED = ("_created", None)
# By type: the samples with the count and with the sum.
_TOTALS = {
    "gaugehistogram": (("_gcount", None), ("_gsum", None)),
    "histogram": (("_count", None), ("_sum", None)),
    "summary": (("_count", None), ("_sum", None)),
}
_VALUE = {"counter": ("_total", None), "info": ("_info", None)}


def has_valid_values(typ: str, values: Values) -> bool:
    """Tell whether a page can hold the values of a series.

    Example:
        >>> has_valid_values("counter", {("_total", None): 3.0}), has_valid_values("counter", {("_total", None): -1.0})
        (True, False)
    """
    if typ in _TOTALS:
        count, total = (values.get(key) for key in _TOTALS[typ])
        limits = _limits_of(values)
        return (_are_quantiles if typ == "summary" else _are_buckets)(values, limits, count, total)
    value = values.get(_VALUE.get(typ, ("", None)))
    if value is None:
        return False
    return {"counter": value >= 0, "info": value == 1, "stateset": value in {0, 1}}.get(typ, True)


def _limits_of(values: Values) -> list[float]:
    return sorted(limit for _, limit in values if limit is not None)


def _are_buckets(values: Values, limits: Sequence[float], count: float | None, _total: float | None) -> bool:
    counts = [values["_bucket", limit] for limit in limits]
    return (
        limits[-1:] == [math.inf]
        and all(map(_is_count, counts))
        and all(lower <= upper for lower, upper in pairwise(counts))
        and count in {None, counts[-1]}
    )


def _are_quantiles(values: Values, limits: Sequence[float], count: float | None, total: float | None) -> bool:
    return (
        (bool(limits) or count is not None)
        and all(0 <= limit <= 1 and not values["", limit] < 0 for limit in limits)
        and (count is None or _is_count(count))
        and (count is not None or total is None)
    )


def _is_count(number: float) -> bool:
    return number >= 0 and number.is_integer()


def words_of(typ: str, values: Values, limits: Sequence[float]) -> list[str]:
    """Return the values of a series as the words of a family's line. What is not known is NaN.

    Args:
        typ: the type of the family.
        values: valid ones.
        limits: of all buckets or quantiles of the family. A bucket that the series does not have is empty.

    Example:
        >>> words_of("histogram", {("_bucket", 1.0): 2.0, ("_bucket", math.inf): 5.0}, [0.5, 1.0, math.inf])
        ['NaN', '0', '2', '3']
    """
    if typ not in _TOTALS:
        return [number_text(values[_VALUE.get(typ, ("", None))])]
    count, total = (values.get(key, math.nan) for key in _TOTALS[typ])
    if typ == "summary":
        quantiles = [number_text(values.get(("", limit), math.nan)) for limit in limits]
        return [_count_text(count), number_text(total), *quantiles]
    words, below = [number_text(total)], 0
    for limit in limits:
        cumulative = int(values.get(("_bucket", limit), below))
        words.append(str(cumulative - below))
        below = cumulative
    return words


def _count_text(count: float) -> str:
    return "NaN" if math.isnan(count) else str(int(count))


def exemplar_places(found: Mapping[float | None, Exemplar], limits: Sequence[float]) -> dict[int, Exemplar]:
    """Return exemplars by the place of their number in the line: 1 for a counter's, from 2 for those of buckets."""
    return {1 if limit is None else 2 + limits.index(limit): exemplar for limit, exemplar in found.items()}
