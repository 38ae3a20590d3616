"""The values under gauges: one class for each way in which instances share a gauge.

Source: prometheus_client's documentation, "Multiprocess Mode"; an instance takes the place of a process.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

from ..pending_series import PendingSeries
from ..recorder import RECORDER
from .value import SeriesValue

__all__ = ["InstanceGauge", "LatestGauge", "SumGauge", "gauge_value"]

# The numbers of a sum's packed line: its finite part, and how many instances hold each of the other values.
_FINITE, _INFINITE, _MINUS_INFINITE, _NAN = 1, 2, 3, 4


class _GaugeValue(SeriesValue):
    """Can follow a function."""

    __slots__ = ("__weakref__", "_function")

    @abstractmethod
    def set(self, value: float, timestamp: float | None = None) -> None:
        """Set the gauge, as each kind does in its own way."""

    @property
    def family(self) -> str:
        """See `Follower.family`."""
        return self.series.schema.name

    def carry_over(self, amount: float) -> None:
        """Set what was set before the value took its place; a gauge at zero may never have been set."""
        if amount:
            self.set(amount)

    def follow(self, function: Callable[[], float]) -> None:
        """Set the gauge to what the function returns, before each flush."""
        self._function = function
        RECORDER.follow(self)

    def sample(self) -> None:
        """Call the function, and set the gauge to what it returns."""
        self.set(float(self._function()))


class SumGauge(_GaugeValue):
    """The shared value is the sum of what each instance holds, or held when it ended."""

    __slots__ = ()

    def __init__(self, series: PendingSeries) -> None:
        super().__init__(series)
        with RECORDER.lock:
            RECORDER.touch(series)

    def inc(self, amount: float) -> None:
        with RECORDER.lock:
            self.reset_after_fork()
            if math.isfinite(amount) and math.isfinite(self._total):
                self._total += amount
                RECORDER.add(self.series, _FINITE, amount, weight=1.0)
            else:
                self._exchange(self._total + amount)

    def set(self, value: float, timestamp: float | None = None) -> None:
        del timestamp
        with RECORDER.lock:
            self.reset_after_fork()
            self._exchange(value)

    def _exchange(self, value: float) -> None:
        """Take this instance's share out of the sum, and put the new one in."""
        for share, sign in ((self._total, -1.0), (value, 1.0)):
            index, amount = _number_of(share)
            RECORDER.add(self.series, index, sign * amount)
        self.series.weight += 1.0
        self._total = value


def _number_of(share: float) -> tuple[int, float]:
    """Return the number of the line that a share is added to, and the amount: infinities and NaN are counted."""
    if math.isfinite(share):
        return _FINITE, share
    if math.isnan(share):
        return _NAN, 1.0
    return (_INFINITE if share > 0 else _MINUS_INFINITE), 1.0


class LatestGauge(_GaugeValue):
    """The shared value is the one that any instance set last; prometheus_client does not let a program add to it."""

    __slots__ = ()

    def set(self, value: float, timestamp: float | None = None) -> None:
        del timestamp  # it is the instance's clock; the store has its own, and is sent the setting's age
        with RECORDER.lock:
            self._total = value
            RECORDER.replace(self.series, value)


class InstanceGauge(_GaugeValue):
    """Each instance has its own value in the store; a scrape combines them, or shows all."""

    __slots__ = ()

    def __init__(self, series: PendingSeries) -> None:
        super().__init__(series)
        with RECORDER.lock:
            RECORDER.hold(series)

    def inc(self, amount: float) -> None:
        with RECORDER.lock:
            self.reset_after_fork()
            self.set(self._total + amount)

    def set(self, value: float, timestamp: float | None = None) -> None:
        del timestamp
        with RECORDER.lock:
            self.reset_after_fork()
            self._total = value
            RECORDER.hold(self.series)
            RECORDER.replace(self.series, value)


def gauge_value(series: PendingSeries) -> _GaugeValue:
    """Return the value for a series, by its gauge's mode."""
    if series.schema.per_instance:
        return InstanceGauge(series)
    return SumGauge(series) if series.schema.rule == "sum" else LatestGauge(series)
