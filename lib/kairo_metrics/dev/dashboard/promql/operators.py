"""Binary operators: arithmetic, comparison and set operators, with the vector matching of Prometheus."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from ..history import NAME, Labels, labels_of
from ..query_error import NotSupported, QueryError
from .vectors import Points, Scalar, Vector, collect, only, without

__all__ = ["Matching", "combine"]


def _divided(left: float, right: float) -> float:
    """Divide as in IEEE 754; Python would raise an error for a division by zero."""
    if right:
        return left / right
    if math.isnan(left) or math.isnan(right) or left == 0:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        return -math.inf if left < 0 and right % 2 == 1 else math.inf
    except ValueError:  # a root of a negative number, or a negative power of zero
        return math.nan if left else math.inf


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divided,
    "%": lambda left, right: math.nan if right == 0 or math.isinf(left) else math.fmod(left, right),
    "^": _power,
}
_COMPARISON: dict[str, Callable[[float, float], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    ">": lambda left, right: left > right,
    "<": lambda left, right: left < right,
    ">=": lambda left, right: left >= right,
    "<=": lambda left, right: left <= right,
}
_SETS = {"and", "or", "unless"}


@dataclass(frozen=True, slots=True)
class Matching:
    """The modifiers of an operator.

    Args:
        on: whether `labels` are the ones that must be equal (`on`), or the ones that are ignored (`ignoring`).
        labels: the labels of `on` or `ignoring`.
        many: the side on which several series may match one series of the other: "left", "right" or None.
        included: labels that are copied from the side with one series (`group_left`, `group_right`).
        as_bool: whether a comparison returns 0 or 1 and keeps every series (`bool`).
    """

    on: bool = False
    labels: tuple[str, ...] = ()
    many: str | None = None
    included: tuple[str, ...] = ()
    as_bool: bool = False

    def signature(self, labels: Labels) -> Labels:
        """Return the labels that must be equal on both sides."""
        return only(labels, self.labels) if self.on else without(labels, (*self.labels, NAME))


def combine(operator: str, left: Vector | Scalar, right: Vector | Scalar, matching: Matching) -> Vector | Scalar:
    """Apply an operator to two results of the same steps.

    Raises:
        QueryError: the series match in more than one way.
        NotSupported: the operator is not supported.
    """
    if operator not in _ARITHMETIC and operator not in _COMPARISON and operator not in _SETS:
        raise NotSupported(f"The operator {operator}")
    match left, right:
        case Scalar(), Scalar():
            values = [_computed(operator, *pair, as_bool=True) for pair in zip(left.points, right.points, strict=True)]
            return Scalar([math.nan if value is None else value for value in values])
        case Vector(), Scalar():
            return _with_scalar(operator, left, right, matching, swapped=False)
        case Scalar(), Vector():
            return _with_scalar(operator, right, left, matching, swapped=True)
        case Vector(), Vector() if operator in _SETS:
            return _set(operator, left, right, matching)
        case Vector(), Vector():
            return _matched(operator, left, right, matching)
    raise NotSupported(f"The operator {operator} between these operands")


def _computed(operator: str, left: float, right: float, *, as_bool: bool) -> float | None:
    """Return the result, or None if a comparison is false."""
    if operator in _ARITHMETIC:
        return _ARITHMETIC[operator](left, right)
    holds = _COMPARISON[operator](left, right)
    if as_bool:
        return float(holds)
    return left if holds else None


def _with_scalar(operator: str, vector: Vector, scalar: Scalar, matching: Matching, *, swapped: bool) -> Vector:
    def one(value: float | None, number: float) -> float | None:
        if value is None:
            return None
        result = _computed(operator, *((number, value) if swapped else (value, number)), as_bool=matching.as_bool)
        # A comparison that filters keeps the value of the vector, on either side of the operator.
        return value if result is not None and _filters(operator, matching) else result

    drops = [] if _filters(operator, matching) else [NAME]
    return collect(
        (without(labels, drops), [one(*pair) for pair in zip(points, scalar.points, strict=True)])
        for labels, points in vector.series.items()
    )


def _filters(operator: str, matching: Matching) -> bool:
    return operator in _COMPARISON and not matching.as_bool


def _set(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    here, there = _presence(left, matching), _presence(right, matching)
    if operator == "or":
        rows = list(left.series.items())
        rows += [(labels, _where(points, here.get(matching.signature(labels)), present=False))
                 for labels, points in right.series.items()]  # fmt: skip
        return collect(rows)
    wanted = operator == "and"
    return collect(
        (labels, _where(points, there.get(matching.signature(labels)), present=wanted))
        for labels, points in left.series.items()
    )


def _presence(vector: Vector, matching: Matching) -> dict[Labels, list[bool]]:
    """Return for each signature the steps at which it has a value."""
    present: dict[Labels, list[bool]] = {}
    for labels, points in vector.series.items():
        before = present.setdefault(matching.signature(labels), [False] * len(points))
        for step, value in enumerate(points):
            before[step] = before[step] or value is not None
    return present


def _where(points: Points, mask: list[bool] | None, *, present: bool) -> Points:
    if mask is None:
        return [None] * len(points) if present else points
    return [value if masked == present else None for value, masked in zip(points, mask, strict=True)]


@dataclass(slots=True)
class _Row:
    """The series of one side with one signature and, for each step, the value and the series that has it."""

    series: list[Labels] = field(default_factory=list)
    points: Points = field(default_factory=list)
    owner: list[Labels | None] = field(default_factory=list)


def _matched(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    many, one, one_is = (right, left, "left") if matching.many == "right" else (left, right, "right")
    rows = _rows(one, matching, one_is)
    results: dict[Labels, Points] = {}
    taken: set[tuple[Labels, int]] = set()
    for labels, points in many.series.items():
        signature = matching.signature(labels)
        row = rows.get(signature)
        if row is None:
            continue
        for step, (value, other, owner) in enumerate(zip(points, row.points, row.owner, strict=True)):
            if value is None or other is None or owner is None:
                continue
            sides = (other, value) if matching.many == "right" else (value, other)
            result = _computed(operator, *sides, as_bool=matching.as_bool)
            if result is None:
                continue
            named = _result_labels(operator, labels, owner, matching)
            place = (named if matching.many else signature, step)
            if place in taken:
                raise _ambiguous(matching)
            taken.add(place)
            results.setdefault(named, [None] * len(points))[step] = result
    return Vector(results)


def _rows(vector: Vector, matching: Matching, side: str) -> dict[Labels, _Row]:
    rows: dict[Labels, _Row] = {}
    for labels, points in vector.series.items():
        signature = matching.signature(labels)
        row = rows.setdefault(signature, _Row([], [None] * len(points), [None] * len(points)))
        for step, value in enumerate(points):
            if value is None:
                continue
            if row.points[step] is not None:
                raise QueryError(
                    f"found duplicate series for the match group {dict(signature)} on the {side} hand-side of the "
                    "operation: many-to-many matching not allowed: matching labels must be unique on one side"
                )
            row.points[step], row.owner[step] = value, labels
    return rows


def _ambiguous(matching: Matching) -> QueryError:
    how = (
        "grouping labels must ensure unique matches"
        if matching.many
        else "many-to-one matching must be explicit (group_left/group_right)"
    )
    return QueryError(f"multiple matches for labels: {how}")


def _result_labels(operator: str, many: Labels, one: Labels, matching: Matching) -> Labels:
    labels = many if _filters(operator, matching) else without(many, [NAME])
    if matching.many is None:
        return only(labels, matching.labels) if matching.on else without(labels, matching.labels)
    taken = dict(one)
    return labels_of({**dict(labels), **{name: taken.get(name, "") for name in matching.included}})
