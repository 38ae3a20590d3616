"""Functions of instant vectors: they change each value, or the labels."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from ..history import Labels, labels_of
from ..limits import LONGEST_LABEL
from ..query_error import QueryError
from .patterns import pattern
from .vectors import Points, Scalar, Vector, collect, mapped

__all__ = ["VALUE_FUNCTIONS", "clamped", "label_join", "label_replace", "rounded", "to_scalar", "to_vector"]

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _log(log: Callable[[float], float]) -> Callable[[float], float]:
    def logarithm(value: float) -> float:
        if value > 0 or math.isnan(value):
            return log(value)
        return math.nan if value else -math.inf

    return logarithm


def _whole(to_whole: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: float(to_whole(value)) if math.isfinite(value) else value


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


VALUE_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "abs": abs,
    "ceil": _whole(math.ceil),
    "floor": _whole(math.floor),
    "exp": _exp,
    "ln": _log(math.log),
    "log2": _log(math.log2),
    "log10": _log(math.log10),
    "sqrt": lambda value: math.nan if value < 0 else math.sqrt(value),
    "sgn": lambda value: math.copysign(1.0, value) if value > 0 or value < 0 else value,
}


def clamped(vector: Vector, low: Scalar, high: Scalar) -> Vector:
    """Limit the values to the range from `low` to `high`."""

    def one(value: float | None, least: float, most: float) -> float | None:
        if value is None or least > most:
            return None
        return math.nan if any(map(math.isnan, (value, least, most))) else max(least, min(most, value))

    nameless = mapped(vector, lambda value: value)
    limits = list(zip(low.points, high.points, strict=True))
    return collect(
        (labels, [one(value, *limit) for value, limit in zip(points, limits, strict=True)])
        for labels, points in nameless.series.items()
    )


def rounded(vector: Vector, nearest: Scalar) -> Vector:
    """Round the values to the nearest multiple of `nearest`; halves are rounded up."""
    nameless = mapped(vector, lambda value: value)

    def one(value: float | None, multiple: float) -> float | None:
        if value is None or not math.isfinite(value):
            return value
        inverse = 1 / multiple if multiple else math.nan
        scaled = value * inverse + 0.5
        return math.floor(scaled) / inverse if math.isfinite(scaled) else math.nan

    return collect(
        (labels, [one(*pair) for pair in zip(points, nearest.points, strict=True)])
        for labels, points in nameless.series.items()
    )


def to_scalar(vector: Vector, steps: int) -> Scalar:
    """Return the value of each step if there is exactly one, else not-a-number."""
    columns: Sequence[Sequence[float | None]] = list(zip(*vector.series.values(), strict=True)) or [()] * steps
    present = ([value for value in column if value is not None] for column in columns)
    return Scalar([values[0] if len(values) == 1 else math.nan for values in present])


def to_vector(scalar: Scalar) -> Vector:
    """Return a scalar as a vector with one series, which has no labels."""
    points: Points = list(scalar.points)
    return Vector({(): points})


def label_replace(vector: Vector, arguments: Sequence[str]) -> Vector:
    """Set a label to the part of another label that a regular expression matches.

    Args:
        vector: the series.
        arguments: as in PromQL: the label to set, the replacement, the label to match, the regular expression.

    Raises:
        QueryError: the regular expression or the name of the label is malformed, or the label becomes too long.
    """
    target, replacement, source, regex = arguments
    compiled = pattern(regex)
    if not _LABEL_NAME.fullmatch(target):
        raise QueryError(f"invalid destination label name in label_replace(): {target}")
    template = _as_python(replacement)

    def one(labels: Labels) -> Labels:
        found = compiled.fullmatch(dict(labels).get(source, ""))
        if found is None:
            return labels
        parts = [part if isinstance(part, str) else _group(found, part[0]) for part in template]
        return labels_of({**dict(labels), target: _joined("", parts)})

    return collect((one(labels), points) for labels, points in vector.series.items())


def label_join(vector: Vector, arguments: Sequence[str]) -> Vector:
    """Set a label to the values of other labels, with a separator between them.

    Args:
        vector: the series.
        arguments: as in PromQL: the label to set, the separator, the other labels.

    Raises:
        QueryError: the name of the label is malformed, or the label becomes too long.
    """
    target, separator, *sources = arguments
    if not _LABEL_NAME.fullmatch(target):
        raise QueryError(f"invalid destination label name in label_join(): {target}")

    def one(labels: Labels) -> Labels:
        values = dict(labels)
        return labels_of({**values, target: _joined(separator, [values.get(name, "") for name in sources])})

    return collect((one(labels), points) for labels, points in vector.series.items())


def _as_python(replacement: str) -> list[str | tuple[str]]:
    """Split `a$1b${name}` into text and, as tuples, the names of groups."""
    parts: list[str | tuple[str]] = []
    for number, part in enumerate(re.split(r"\$(\$|\w+|\{\w+\})", replacement)):
        text = "$" if part == "$" else (part.strip("{}"),)
        parts.append(text if number % 2 else part)
    return parts


def _joined(separator: str, parts: Sequence[str]) -> str:
    """Join the parts of a label. Labels that are made of themselves could otherwise double at each level."""
    if sum(map(len, parts)) + len(separator) * len(parts) > LONGEST_LABEL:
        raise QueryError(f"a label of the result has more than {LONGEST_LABEL} characters")
    return separator.join(parts)


def _group(found: Any, name: str) -> str:
    # Python refuses to read very long numbers, and no expression has a thousand groups that are used.
    key = int(name[:3]) if name.isdecimal() else name
    try:
        value: str | None = found[key]
    except IndexError:
        return ""
    return value or ""
