"""Evaluates a parsed expression, for all steps at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

import promql_parser as ast

from ..history import NAME, History, Labels, Series, labels_of
from ..limits import Budget, check_size
from ..query_error import NotSupported, QueryError
from .aggregations import aggregate, grouped_by, grouped_without
from .functions import VALUE_FUNCTIONS, clamped, label_join, label_replace, rounded, to_scalar, to_vector
from .operators import Matching, combine
from .patterns import pattern
from .quantiles import histogram_quantile
from .range_functions import RANGE_FUNCTIONS, RangeFunction, Window, over_windows, quantile_over_time
from .vectors import Points, Scalar, Vector, collect, mapped, without

__all__ = ["instant", "matcher", "parsed", "ranged"]

# How far back an instant selector looks for the last sample; the default of Prometheus.
_LOOKBACK_MS = 300_000
_MAX_STEPS = 2_000


def instant(history: History, query: str, at_ms: int, budget: Budget | None = None) -> Vector | Scalar:
    """Evaluate a query at one moment; every series of the result has one point.

    Raises:
        QueryError: the query is malformed, not supported, ambiguous, or exceeds a limit.

    Example:
        >>> history = History(keep_ms=60_000)
        >>> history.add(1_000, {(("__name__", "up"), ("job", "cms")): 1.0})
        >>> instant(history, "sum(up) * 2", 2_000)
        Vector(series={(): [2.0]})
    """
    return _Evaluation(history, [at_ms], budget or Budget()).of(parsed(query))


def ranged(history: History, query: str, steps: Sequence[int], budget: Budget | None = None) -> Vector | Scalar:
    """Evaluate a query at several steps, in ms since 1970, in rising order.

    Raises:
        QueryError: as for `instant`, or there are too many steps.
    """
    if len(steps) > _MAX_STEPS:
        raise QueryError(f"{len(steps)} steps are more than {_MAX_STEPS}: choose a shorter time range or a longer step")
    return _Evaluation(history, steps, budget or Budget()).of(parsed(query))


def parsed(query: str) -> Any:
    """Parse a query.

    Raises:
        QueryError: it is malformed, too long or too deep.
    """
    check_size(query)
    try:
        return ast.parse(query)
    except ValueError as err:
        raise QueryError(f"{err} in the query: {query}") from err


def matcher(selector: ast.VectorSelector) -> Callable[[Labels], bool]:
    """Return a function that tells whether a label set matches a selector.

    Raises:
        QueryError: a regular expression is malformed.
    """
    if selector.matchers.or_matchers:
        raise NotSupported("A selector with `or`")
    checks = [(one.name, _check(one)) for one in selector.matchers.matchers]

    def matches(labels: Labels) -> bool:
        values = dict(labels)
        return all(check(values.get(name, "")) for name, check in checks)

    return matches


def _check(one: ast.Matcher) -> Callable[[str], bool]:
    wanted = one.value
    match one.op:
        case ast.MatchOp.Equal:
            return lambda value: value == wanted
        case ast.MatchOp.NotEqual:
            return lambda value: value != wanted
    compiled, expected = pattern(wanted), one.op == ast.MatchOp.Re
    return lambda value: bool(compiled.fullmatch(value)) == expected


class _Evaluation:
    """The evaluation of one query, for one history and certain steps."""

    def __init__(self, history: History, steps: Sequence[int], budget: Budget) -> None:
        self._history = history
        self._budget = budget
        self._steps = steps
        self._functions: dict[str, Callable[[list[Any]], Vector | Scalar]] = {
            "absent": self._absent,
            "clamp": lambda args: clamped(self._vector(args[0]), self._scalar(args[1]), self._scalar(args[2])),
            "clamp_max": lambda args: clamped(self._vector(args[0]), self._constant(-math.inf), self._scalar(args[1])),
            "clamp_min": lambda args: clamped(self._vector(args[0]), self._scalar(args[1]), self._constant(math.inf)),
            "histogram_quantile": lambda args: histogram_quantile(self._scalar(args[0]), self._vector(args[1])),
            "label_join": lambda args: label_join(self._vector(args[0]), _texts(args[1:])),
            "label_replace": lambda args: label_replace(self._vector(args[0]), _texts(args[1:])),
            "quantile_over_time": self._quantile_over_time,
            "round": lambda args: rounded(
                self._vector(args[0]), self._scalar(args[1]) if args[1:] else self._constant(1.0)
            ),
            "scalar": lambda args: to_scalar(self._vector(args[0]), len(self._steps)),
            "sort": lambda args: self._sorted(args, descending=False),
            "sort_desc": lambda args: self._sorted(args, descending=True),
            "time": lambda _args: Scalar([at_ms / 1000 for at_ms in self._steps]),
            "timestamp": self._timestamp,
            "vector": lambda args: to_vector(self._scalar(args[0])),
        }

    def of(self, expression: Any) -> Vector | Scalar:
        """Evaluate an expression."""
        self._budget.check()
        while isinstance(expression, ast.ParenExpr):
            expression = expression.expr
        match expression:
            case ast.NumberLiteral():
                return self._constant(expression.val)
            case ast.UnaryExpr():
                return self._negated(self.of(expression.expr))
            case ast.VectorSelector():
                return self._selected(expression, lambda _at_ms, value: value)
            case ast.AggregateExpr():
                return self._aggregated(expression)
            case ast.BinaryExpr():
                left, right = self.of(expression.lhs), self.of(expression.rhs)
                return combine(str(expression.op), left, right, _matching(expression.modifier))
            case ast.Call():
                return self._called(expression.func.name, expression.args)
        raise NotSupported(f"{_KINDS.get(type(expression), type(expression).__name__)} at this place")

    def _constant(self, value: float) -> Scalar:
        return Scalar([value] * len(self._steps))

    def _vector(self, expression: Any) -> Vector:
        result = self.of(expression)
        if not isinstance(result, Vector):
            raise QueryError("expected type instant vector, got scalar")
        return result

    def _scalar(self, expression: Any) -> Scalar:
        result = self.of(expression)
        if not isinstance(result, Scalar):
            raise QueryError("expected type scalar, got instant vector")
        return result

    def _negated(self, operand: Vector | Scalar) -> Vector | Scalar:
        if isinstance(operand, Scalar):
            return Scalar([-value for value in operand.points])
        return mapped(operand, lambda value: -value)

    def _series(self, selector: ast.VectorSelector, back_ms: int) -> tuple[Iterator[Series], list[int]]:
        """Return the series of a selector, and the times to read them at: the steps, minus the offset."""
        if selector.at is not None:
            raise NotSupported("The modifier @")
        offset_ms = _ms(selector.offset) if selector.offset else 0
        moments = [at_ms - offset_ms for at_ms in self._steps]
        matches = matcher(selector)

        def timely(labels: Labels) -> bool:
            self._budget.tick()
            return matches(labels)

        def counted() -> Iterator[Series]:
            for series in self._history.select(selector.name, timely, moments[0] - back_ms, moments[-1]):
                self._budget.use(len(moments))
                yield series

        return counted(), moments

    def _selected(self, selector: ast.VectorSelector, take: Callable[[int, float], float]) -> Vector:
        found, moments = self._series(selector, _LOOKBACK_MS)
        return collect((series.labels, _last_at(series, moments, take)) for series in found)

    def _aggregated(self, expression: ast.AggregateExpr) -> Vector:
        operator, modifier, parameter = str(expression.op), expression.modifier, expression.param
        if isinstance(parameter, ast.StringLiteral):
            raise NotSupported(f"The aggregation {operator}")
        names = modifier.labels if modifier else []
        is_without = modifier is not None and modifier.type == ast.AggModifierType.Without
        grouping = grouped_without(names) if is_without else grouped_by(names)
        number = None if parameter is None else self._scalar(parameter)
        return aggregate(operator, grouping, self._vector(expression.expr), number)

    def _called(self, name: str, args: list[Any]) -> Vector | Scalar:
        if name in RANGE_FUNCTIONS:
            return self._over_time(args[0], RANGE_FUNCTIONS[name], keeps_name=name == "last_over_time")
        if name in VALUE_FUNCTIONS:
            return mapped(self._vector(args[0]), VALUE_FUNCTIONS[name])
        if name in self._functions:
            return self._functions[name](args)
        raise NotSupported(f"The function {name}()")

    def _over_time(self, argument: Any, function: RangeFunction, *, keeps_name: bool = False) -> Vector:
        while isinstance(argument, ast.ParenExpr):
            argument = argument.expr
        if not isinstance(argument, ast.MatrixSelector):
            raise NotSupported(_KINDS.get(type(argument), type(argument).__name__))
        range_ms = _ms(argument.range)
        found, moments = self._series(argument.vector_selector, range_ms)

        def timely(window: Window) -> float | None:
            self._budget.tick()
            return function(window)

        dropped = [] if keeps_name else [NAME]
        return collect(
            (without(series.labels, dropped), over_windows(series, moments, range_ms, timely)) for series in found
        )

    def _quantile_over_time(self, args: list[Any]) -> Vector:
        shares = set(self._scalar(args[0]).points)
        if len(shares) != 1:
            raise NotSupported("quantile_over_time() with a changing quantile")
        return self._over_time(args[1], quantile_over_time(shares.pop()))

    def _timestamp(self, args: list[Any]) -> Vector:
        if isinstance(args[0], ast.VectorSelector):
            return mapped(self._selected(args[0], lambda at_ms, _value: at_ms / 1000), lambda value: value)
        vector = mapped(self._vector(args[0]), lambda value: value)
        now = [at_ms / 1000 for at_ms in self._steps]
        return Vector({labels: _masked(now, points) for labels, points in vector.series.items()})

    def _absent(self, args: list[Any]) -> Vector:
        vector = self._vector(args[0])
        columns = zip(*vector.series.values(), strict=True) if vector.series else iter(())
        present = [any(value is not None for value in column) for column in columns] or [False] * len(self._steps)
        return collect([(_absent_labels(args[0]), [None if there else 1.0 for there in present])])

    def _sorted(self, args: list[Any], *, descending: bool) -> Vector:
        vector = self._vector(args[0])
        if len(self._steps) > 1:  # the order of values differs from step to step
            return vector

        def key(item: tuple[Labels, Points]) -> tuple[bool, float]:
            value = next((point for point in islice(item[1], 1) if point is not None), math.nan)
            return math.isnan(value), -value if descending else value

        return Vector(dict(sorted(vector.series.items(), key=key)))


_KINDS: dict[type, str] = {
    ast.SubqueryExpr: "A subquery",
    ast.MatrixSelector: "A range of samples without a function",
    ast.StringLiteral: "Text",
}


def _last_at(series: Series, moments: Sequence[int], take: Callable[[int, float], float]) -> Points:
    """Return the last sample at or before each moment, if it is within the lookback and the series has not ended."""
    points: Points = []
    count = 0
    for moment in moments:
        while count < len(series.times) and series.times[count] <= moment:
            count += 1
        fresh = count > 0 and series.times[count - 1] >= moment - _LOOKBACK_MS
        value = series.values[count - 1] if fresh else None
        points.append(None if value is None else take(series.times[count - 1], value))
    return points


def _masked(values: Sequence[float], mask: Points) -> Points:
    return [None if hidden is None else value for value, hidden in zip(values, mask, strict=True)]


def _absent_labels(argument: Any) -> Labels:
    """Return the labels that `absent` gives its result: those for which the selector requires one value."""
    selector = argument.vector_selector if isinstance(argument, ast.MatrixSelector) else argument
    if not isinstance(selector, ast.VectorSelector):
        return ()
    names = [one.name for one in selector.matchers.matchers]
    wanted = [one for one in selector.matchers.matchers if one.op == ast.MatchOp.Equal and names.count(one.name) == 1]
    return labels_of({one.name: one.value for one in wanted if one.name != NAME})


def _matching(modifier: ast.BinModifier | None) -> Matching:
    if modifier is None:
        return Matching()
    if modifier.fill_values is not None and _fills(modifier.fill_values):
        raise NotSupported("The modifier fill")
    labels = modifier.matching
    # Comparisons and not a dict: the parser's enumerations can't be hashed.
    many = "left" if modifier.card == ast.VectorMatchCardinality.ManyToOne else None
    many = "right" if modifier.card == ast.VectorMatchCardinality.OneToMany else many
    return Matching(
        on=labels is not None and labels.type == ast.LabelModifierType.Include,
        labels=tuple(labels.labels) if labels is not None else (),
        many=many,
        included=tuple(modifier.group_labels or ()),
        as_bool=modifier.return_bool,
    )


def _fills(values: ast.VectorMatchFillValues) -> bool:
    return any(getattr(values, side, None) is not None for side in ("lhs", "rhs"))


def _texts(args: list[Any]) -> list[str]:
    if not all(isinstance(arg, ast.StringLiteral) for arg in args):
        raise QueryError("expected type string")
    return [arg.val for arg in args]


def _ms(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)
