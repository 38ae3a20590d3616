"""The part of Prometheus' HTTP API that dashboards use, for the built-in history.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promql_parser import VectorSelector

from .history import History, Labels
from .limits import Budget
from .promql import Scalar, instant, ranged
from .promql.engine import matcher, parsed
from .promql.functions import to_vector
from .query_error import QueryError

__all__ = ["BuiltIn"]

_MAX_STEPS = 2_000
# The year 9999. Later times have no date, and a time that is not finite can't be printed as JSON.
_LATEST_S = 253_402_300_799


class BuiltIn:
    """Answers queries from a history; each method returns the value of `data` in the response.

    Every method takes the parameters of the request, and raises `QueryError` if one is missing or wrong.

    Example:
        >>> history = History(keep_ms=60_000)
        >>> history.add(1_000, {(("__name__", "up"), ("job", "cms")): 1.0})
        >>> BuiltIn(history).query({"query": "up", "time": "2"})["result"]
        [{'metric': {'__name__': 'up', 'job': 'cms'}, 'value': [2.0, '1']}]
    """

    def __init__(self, history: History, budget: Budget | None = None) -> None:
        self._history = history
        self._budget = budget or Budget()

    def query(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer `/api/v1/query`."""
        at_s = _number(parameters, "time", time.time())
        result = instant(self._history, _required(parameters, "query"), round(at_s * 1000), self._budget)
        if isinstance(result, Scalar):
            return {"resultType": "scalar", "result": [at_s, _printed(result.points[0])]}
        rows = ((labels, points[0]) for labels, points in result.series.items())
        return {
            "resultType": "vector",
            "result": [
                {"metric": dict(labels), "value": [at_s, _printed(value)]}
                for labels, value in rows
                if value is not None
            ],
        }

    def query_range(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Answer `/api/v1/query_range`; start, end and step are numbers in seconds."""
        start_s, end_s, step_s = (_number(parameters, name) for name in ("start", "end", "step"))
        if not (step_s > 0 and start_s <= end_s):
            raise QueryError("start must not be after end, and step must be positive")
        if (end_s - start_s) / step_s > _MAX_STEPS:
            raise QueryError(f"more than {_MAX_STEPS} steps: choose a shorter time range or a longer step")
        steps = range(round(start_s * 1000), round(end_s * 1000) + 1, max(1, round(step_s * 1000)))
        result = ranged(self._history, _required(parameters, "query"), steps, self._budget)
        series = to_vector(result).series if isinstance(result, Scalar) else result.series
        # Sorted as in Prometheus, so that a series keeps its place and colour from query to query.
        rows = [{"metric": dict(labels), "values": _values(steps, points)} for labels, points in sorted(series.items())]
        return {"resultType": "matrix", "result": rows}

    def label_values(self, name: str, parameters: Mapping[str, str]) -> list[str]:
        """Answer `/api/v1/label/<name>/values` for the whole history."""
        return sorted({value for labels in self._matching(parameters) for key, value in labels if key == name})

    def labels(self, parameters: Mapping[str, str]) -> list[str]:
        """Answer `/api/v1/labels`, the names of labels, for the whole history."""
        return sorted({key for labels in self._matching(parameters) for key, _ in labels})

    def series(self, parameters: Mapping[str, str]) -> list[dict[str, str]]:
        """Answer `/api/v1/series` for the whole history."""
        return [dict(labels) for labels in self._matching(parameters)]

    def _matching(self, parameters: Mapping[str, str]) -> list[Labels]:
        bounds = self._history.bounds_ms()
        if bounds is None:
            return []
        selector = parameters.get("match[]")
        if selector is None:
            return self._found(None, lambda _labels: True, bounds)
        expression = parsed(selector)
        if not isinstance(expression, VectorSelector):
            raise QueryError(f"match[] must be a selector such as up{{job='cms'}}, not {selector}")
        return self._found(expression.name, matcher(expression), bounds)

    def _found(self, name: str | None, matches: Callable[[Labels], bool], bounds: tuple[int, int]) -> list[Labels]:
        def timely(labels: Labels) -> bool:
            self._budget.tick()
            return matches(labels)

        return [series.labels for series in self._history.select(name, timely, *bounds)]


def _required(parameters: Mapping[str, str], name: str) -> str:
    value = parameters.get(name, "").strip()
    if not value:
        raise QueryError(f"the parameter {name} is missing")
    return value


def _number(parameters: Mapping[str, str], name: str, default: float | None = None) -> float:
    if name not in parameters and default is not None:
        return default
    text = _required(parameters, name)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= _LATEST_S:
        raise QueryError(f"{name} must be a number of seconds, not {text[:100]!r}")
    return number


def _values(steps: Sequence[int], points: Sequence[float | None]) -> list[list[float | str]]:
    pairs = zip(steps, points, strict=True)
    return [[at_ms / 1000, _printed(value)] for at_ms, value in pairs if value is not None]


def _printed(value: float) -> str:
    """Format a value as Prometheus does: infinities as text, and whole numbers without a point."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")
