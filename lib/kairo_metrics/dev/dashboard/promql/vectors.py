"""The results of an expression, for all steps at once, and the functions that all operations on them share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ..history import NAME, Labels
from ..query_error import QueryError

__all__ = ["Points", "Scalar", "Vector", "collect", "mapped", "only", "without"]

# One value for each step; None if the series has no value there.
Points = list[float | None]


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number for each step."""

    points: list[float]


@dataclass(frozen=True, slots=True)
class Vector:
    """Series, each with a value or None for each step."""

    series: dict[Labels, Points]


def without(labels: Labels, names: Iterable[str]) -> Labels:
    """Return a label set without the labels of the given names.

    Example:
        >>> without((("__name__", "up"), ("job", "cms")), ["__name__"])
        (('job', 'cms'),)
    """
    dropped = frozenset(names)
    return tuple(pair for pair in labels if pair[0] not in dropped)


def only(labels: Labels, names: Iterable[str]) -> Labels:
    """Return the labels with the given names.

    Example:
        >>> only((("__name__", "up"), ("job", "cms")), ["job", "instance"])
        (('job', 'cms'),)
    """
    kept = frozenset(names)
    return tuple(pair for pair in labels if pair[0] in kept)


def collect(results: Iterable[tuple[Labels, Points]]) -> Vector:
    """Build a vector; series with the same label set are joined if no step has two values.

    Raises:
        QueryError: two series with the same labels have a value at the same step.
    """
    series: dict[Labels, Points] = {}
    for labels, points in results:
        if labels in series:
            series[labels] = [_one_of(*pair) for pair in zip(series[labels], points, strict=True)]
        else:
            series[labels] = points
    return Vector({labels: points for labels, points in series.items() if any(v is not None for v in points)})


def mapped(vector: Vector, change: Callable[[float], float]) -> Vector:
    """Apply a function to every value, and remove the metric names, because the result is another metric."""
    return collect(_mapped(vector, change))


def _mapped(vector: Vector, change: Callable[[float], float]) -> Iterator[tuple[Labels, Points]]:
    for labels, points in vector.series.items():
        yield without(labels, [NAME]), [None if value is None else change(value) for value in points]


def _one_of(left: float | None, right: float | None) -> float | None:
    if left is not None and right is not None:
        raise QueryError("vector cannot contain metrics with the same labelset")
    return right if left is None else left
