"""Aggregation operators: they combine the series of each group into one, or keep the largest or smallest."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from ..history import NAME, Labels
from ..query_error import NotSupported, QueryError
from .quantiles import quantile
from .vectors import Points, Scalar, Vector, collect

__all__ = ["Grouping", "aggregate", "grouped_by", "grouped_without"]

# Returns the labels of the group that a series belongs to.
Grouping = Callable[[Labels], Labels]
_INT64 = 2.0**63
Combine = Callable[[Sequence[float]], float]


def aggregate(operator: str, grouping: Grouping, vector: Vector, parameter: Scalar | None) -> Vector:
    """Apply an aggregation operator.

    Args:
        operator: such as `sum`.
        grouping: returns the labels that `by` or `without` keeps.
        vector: the series.
        parameter: the first argument of `topk`, `bottomk` and `quantile`.

    Raises:
        NotSupported: the operator is not supported.
        QueryError: the parameter is not a whole number in the range of int64.
    """
    groups: dict[Labels, dict[Labels, Points]] = {}
    for labels, points in vector.series.items():
        groups.setdefault(grouping(labels), {})[labels] = points
    if parameter is None and operator in _COMBINE:
        combine = _COMBINE[operator]
        return collect((labels, _combined(combine, list(group.values()))) for labels, group in groups.items())
    if parameter is not None and operator == "quantile":
        return collect((labels, _quantiles(parameter, list(group.values()))) for labels, group in groups.items())
    if parameter is not None and operator in {"topk", "bottomk"}:
        chosen = (_limited(group, parameter, largest=operator == "topk") for group in groups.values())
        return collect(pair for group in chosen for pair in group.items())
    raise NotSupported(f"The aggregation {operator}")


def _combined(combine: Combine, group: list[Points]) -> Points:
    if len(group) == 1:
        return [None if value is None else combine((value,)) for value in group[0]]
    steps = zip(*group, strict=True)
    present = ([value for value in step if value is not None] for step in steps)
    return [combine(values) if values else None for values in present]


def _quantiles(share: Scalar, group: list[Points]) -> Points:
    steps = zip(share.points, zip(*group, strict=True), strict=True)
    present = ((wanted, [value for value in step if value is not None]) for wanted, step in steps)
    return [quantile(wanted, values) if values else None for wanted, values in present]


def _limited(group: dict[Labels, Points], parameter: Scalar, *, largest: bool) -> dict[Labels, Points]:
    """Keep the `parameter` largest or smallest values of each step; the result of an instant query is sorted."""
    kept: dict[Labels, Points] = {}
    for step, wanted in enumerate(parameter.points):
        if math.isnan(wanted) or abs(wanted) >= _INT64:
            raise QueryError(f"Scalar value {wanted} overflows int64")
        if wanted < 1:
            continue
        present = [(points[step], labels) for labels, points in group.items()]
        ordered = sorted(
            ((value, labels) for value, labels in present if value is not None),
            key=lambda pair: (math.isnan(pair[0]), -pair[0] if largest else pair[0]),
        )
        for value, labels in ordered[: int(min(wanted, len(ordered)))]:
            kept.setdefault(labels, [None] * len(parameter.points))[step] = value
    return kept


def _minimum(values: Sequence[float]) -> float:
    return min((value for value in values if not math.isnan(value)), default=math.nan)


def _maximum(values: Sequence[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


_COMBINE: dict[str, Combine] = {
    "sum": sum,
    "avg": lambda values: sum(values) / len(values),
    "min": _minimum,
    "max": _maximum,
    "count": lambda values: float(len(values)),
    "group": lambda _values: 1.0,
    "stddev": statistics.pstdev,
    "stdvar": statistics.pvariance,
}


def grouped_by(names: Sequence[str]) -> Grouping:
    """Return the grouping of `by (names)`.

    Example:
        >>> grouped_by(["job"])((("__name__", "up"), ("job", "cms")))
        (('job', 'cms'),)
    """
    kept = frozenset(names)
    return lambda labels: tuple(pair for pair in labels if pair[0] in kept)


def grouped_without(names: Sequence[str]) -> Grouping:
    """Return the grouping of `without (names)`, which also removes the metric's name.

    Example:
        >>> grouped_without(["job"])((("__name__", "up"), ("job", "cms")))
        ()
    """
    dropped = frozenset(names) | {NAME}
    return lambda labels: tuple(pair for pair in labels if pair[0] not in dropped)
