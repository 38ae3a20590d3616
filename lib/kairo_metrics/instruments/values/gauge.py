"""The values under gauges: one class for each way in which instances share a gauge.

Source: prometheus_client's documentation, "Multiprocess Mode"; an instance takes the place of a process.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..pending_series import PendingSeries
from .base import RECORDER, Plain

__all__ = ["InstanceGauge", "LatestGauge", "SumGauge", "gauge_value"]

# Where a sum's line keeps its finite part, and how many instances hold each of the others.
_FINITE, _INFINITE, _MINUS_INFINITE, _NO_NUMBER = 1, 2, 3, 4


class _Gauge(Plain):
    """Can follow a function."""

    __slots__ = ("__weakref__", "_function")

    def set(self, value: float, timestamp: float | None = None) -> None:
        raise NotImplementedError

    def follow(self, function: Callable[[], float]) -> None:
        """Set the gauge to what the function returns, before each flush."""
        self._function = function
        RECORDER.follow(self)

    def sample(self) -> None:
        """Ask the function."""
        self.set(float(self._function()))


class SumGauge(_Gauge):
    """The shared value is the sum of what each instance holds, or held when it ended."""

    __slots__ = ()

    def __init__(self, series: PendingSeries) -> None:
        super().__init__(series)
        with RECORDER.lock:
            RECORDER.touch(series)

    def inc(self, amount: float) -> None:
        with RECORDER.lock:
            self.start_anew_after_fork()
            if math.isfinite(amount) and math.isfinite(self._total):
                self._total += amount
                RECORDER.add(self.series, _FINITE, amount, weight=1.0)
            else:
                self._exchange(self._total + amount)

    def set(self, value: float, timestamp: float | None = None) -> None:
        del timestamp
        with RECORDER.lock:
            self.start_anew_after_fork()
            self._exchange(value)

    def _exchange(self, value: float) -> None:
        """Take our share out of the sum and put the new one in; what can't be taken out of a sum is counted."""
        for share, sign in ((self._total, -1.0), (value, 1.0)):
            index, amount = _part(share)
            RECORDER.add(self.series, index, sign * amount)
        self.series.weight += 1.0
        self._total = value


def _part(share: float) -> tuple[int, float]:
    """Return where a share is added up, and what is added there."""
    if math.isfinite(share):
        return _FINITE, share
    if math.isnan(share):
        return _NO_NUMBER, 1.0
    return (_INFINITE if share > 0 else _MINUS_INFINITE), 1.0


class LatestGauge(_Gauge):
    """The shared value is the one set last, by whichever instance; prometheus_client lets nobody add to it."""

    __slots__ = ()

    def set(self, value: float, timestamp: float | None = None) -> None:
        del timestamp  # a client's clock; the store has its own and is told the setting's age
        with RECORDER.lock:
            self._total = value
            RECORDER.replace(self.series, value)


class InstanceGauge(_Gauge):
    """Each instance has its own value in the store; a scrape makes one of them, or shows all."""

    __slots__ = ()

    def __init__(self, series: PendingSeries) -> None:
        super().__init__(series)
        with RECORDER.lock:
            RECORDER.hold(series)

    def inc(self, amount: float) -> None:
        with RECORDER.lock:
            self.start_anew_after_fork()
            self.set(self._total + amount)

    def set(self, value: float, timestamp: float | None = None) -> None:
        del timestamp
        with RECORDER.lock:
            self.start_anew_after_fork()
            self._total = value
            RECORDER.hold(self.series)
            RECORDER.replace(self.series, value)


def gauge_value(series: PendingSeries) -> _Gauge:
    """Return the value for a series, by its gauge's mode."""
    if series.schema.per_instance:
        return InstanceGauge(series)
    return SumGauge(series) if series.schema.rule == "sum" else LatestGauge(series)
