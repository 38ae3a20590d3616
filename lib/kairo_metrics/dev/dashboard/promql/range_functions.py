"""Functions of range vectors: each takes the samples of one window."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..history import Series
from .quantiles import quantile
from .vectors import Points

__all__ = ["RANGE_FUNCTIONS", "Window", "over_windows"]

# An increase is extrapolated to an end of the window if the nearest sample is less than this many average distances
# between samples away, else by half an average distance.
_EXTRAPOLATION_LIMIT = 1.1


@dataclass(frozen=True, slots=True)
class Window:
    """The samples from index `low` to below `high` of one series.

    Args:
        times: the times of the whole series, in ms since 1970.
        values: the values of the whole series.
        grown: the values of the whole series, with counter resets removed.
        low: the index of the window's first sample.
        high: the index after its last sample.
        start_ms: the start of the window, in ms since 1970.
        end_ms: its end.
    """

    times: Sequence[int]
    values: Sequence[float]
    grown: Sequence[float]
    low: int
    high: int
    start_ms: int
    end_ms: int

    @property
    def inside(self) -> Sequence[float]:
        """The values in the window."""
        return self.values[self.low : self.high]


RangeFunction = Callable[[Window], float | None]


def over_windows(series: Series, steps: Sequence[int], range_ms: int, function: RangeFunction) -> Points:
    """Apply a function to the window before each step.

    Args:
        series: the samples.
        steps: the ends of the windows, in ms since 1970, in rising order.
        range_ms: the length of a window in ms; it includes both of its ends, as in Prometheus 2.
        function: returns the value of the step, or None.
    """
    samples = [(at, value) for at, value in zip(series.times, series.values, strict=True) if value is not None]
    times, values = [at for at, _ in samples], [value for _, value in samples]
    grown = _grown(values)
    points: Points = []
    low = high = 0
    for end_ms in steps:
        while high < len(times) and times[high] <= end_ms:
            high += 1
        while low < high and times[low] < end_ms - range_ms:
            low += 1
        window = Window(times, values, grown, low, high, end_ms - range_ms, end_ms)
        points.append(function(window) if high > low else None)
    return points


def _grown(values: Sequence[float]) -> list[float]:
    """Remove counter resets: after each reset, add the value before it."""
    grown, added, before = [], 0.0, -math.inf
    for value in values:
        if value < before:
            added += before
        grown.append(value + added)
        before = value
    return grown


def _extrapolated(window: Window, *, counter: bool, per_second: bool) -> float | None:
    """Return the increase, extrapolated from the samples to the window's ends, like Prometheus' `extrapolatedRate`."""
    first, last = window.low, window.high - 1
    if first == last:
        return None
    values = window.grown if counter else window.values
    increase = values[last] - values[first]
    sampled_s = (window.times[last] - window.times[first]) / 1000
    average_s = sampled_s / (last - first)
    before_s = (window.times[first] - window.start_ms) / 1000
    after_s = (window.end_ms - window.times[last]) / 1000
    if counter and increase > 0 and window.values[first] >= 0:
        # A counter is never below zero, so it is not extrapolated back beyond the time at which it would be zero.
        before_s = min(before_s, sampled_s * (window.values[first] / increase))
    limit_s = average_s * _EXTRAPOLATION_LIMIT
    extrapolated_s = sampled_s + sum(edge_s if edge_s < limit_s else average_s / 2 for edge_s in (before_s, after_s))
    result = increase * (extrapolated_s / sampled_s)
    return result / ((window.end_ms - window.start_ms) / 1000) if per_second else result


def _rate(window: Window) -> float | None:
    return _extrapolated(window, counter=True, per_second=True)


def _increase(window: Window) -> float | None:
    return _extrapolated(window, counter=True, per_second=False)


def _delta(window: Window) -> float | None:
    return _extrapolated(window, counter=False, per_second=False)


def _idelta(window: Window) -> float | None:
    inside = window.inside
    return inside[-1] - inside[-2] if len(inside) > 1 else None


def _irate(window: Window) -> float | None:
    last = window.high - 1
    if last == window.low:
        return None
    before, now = window.values[last - 1], window.values[last]
    return (now if now < before else now - before) / ((window.times[last] - window.times[last - 1]) / 1000)


def _resets(window: Window) -> float:
    inside = window.inside
    return float(sum(now < before for before, now in itertools.pairwise(inside)))


def _changes(window: Window) -> float:
    inside = window.inside
    pairs = itertools.pairwise(inside)
    return float(sum(now != before and not (math.isnan(now) and math.isnan(before)) for before, now in pairs))


def _deriv(window: Window) -> float | None:
    if window.high - window.low <= 1:
        return None
    # Seconds from the start of the window: seconds since 1970 would lose precision.
    times_s = [(at - window.start_ms) / 1000 for at in window.times[window.low : window.high]]
    try:
        return statistics.linear_regression(times_s, window.inside).slope
    except statistics.StatisticsError:
        return math.nan


def quantile_over_time(share: float) -> RangeFunction:
    """Return a function for one quantile of the values in a window."""
    return lambda window: quantile(share, window.inside)


def _sum(values: Sequence[float]) -> float:
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # too large for a float, or infinities of both signs
        return sum(values)


RANGE_FUNCTIONS: dict[str, RangeFunction] = {
    "rate": _rate,
    "increase": _increase,
    "delta": _delta,
    "idelta": _idelta,
    "irate": _irate,
    "resets": _resets,
    "changes": _changes,
    "deriv": _deriv,
    "avg_over_time": lambda window: _sum(window.inside) / len(window.inside),
    "sum_over_time": lambda window: _sum(window.inside),
    "min_over_time": lambda window: min(window.inside, key=_nan_last),
    "max_over_time": lambda window: max(window.inside, key=_nan_first),
    "count_over_time": lambda window: float(len(window.inside)),
    "last_over_time": lambda window: window.inside[-1],
    "present_over_time": lambda _window: 1.0,
    "stddev_over_time": lambda window: statistics.pstdev(window.inside),
    "stdvar_over_time": lambda window: statistics.pvariance(window.inside),
}


def _nan_last(value: float) -> tuple[bool, float]:
    return math.isnan(value), value


def _nan_first(value: float) -> tuple[bool, float]:
    return not math.isnan(value), value
