"""The values under histograms and summaries.

prometheus_client makes an observation in two steps: a histogram's sum and then a bucket, a summary's count and then
its sum. The first step waits, for each thread, until the second has come, so that no batch has half an observation.
"""

from __future__ import annotations

import math
import threading

from prometheus_client.samples import Exemplar

from ..current_call import CURRENT_CALL
from ..pending_series import PendingSeries
from ..recorder import RECORDER
from .exemplar import record_exemplar
from .value import LocalTotal

__all__ = ["histogram_values", "summary_values"]


def histogram_values(series: PendingSeries) -> tuple[_StepValue, list[_StepValue]]:
    """Return the values of a histogram child: its sum, and its buckets."""
    observed = _ObservedSeries(series)
    buckets = [_SecondStep(observed, place, counts=True) for place in range(2, len(series.schema.bounds) + 2)]
    return _FirstStep(observed, 1), [*buckets]


def summary_values(series: PendingSeries) -> tuple[_StepValue, _StepValue]:
    """Return the values of a summary child: its count, and its sum."""
    observed = _ObservedSeries(series)
    return _FirstStep(observed, 1, counts=True), _SecondStep(observed, 2)


class _ObservedSeries:
    """A series whose observations come in two steps; `opened` has the first steps that wait, each with its thread.

    A thread has more than one of them if a signal handler or a finalizer observes between the two steps.
    """

    __slots__ = ("opened", "series")

    def __init__(self, series: PendingSeries) -> None:
        self.series = series
        self.opened: list[tuple[int, float]] = []
        with RECORDER.lock:
            RECORDER.touch(series)

    def take_first_step(self, thread: int) -> float | None:
        """Return the amount of the last first step of the thread that waits, if there is one."""
        opened = self.opened
        if opened and opened[-1][0] == thread:
            return opened.pop()[1]
        for place in range(len(opened) - 2, -1, -1):
            if opened[place][0] == thread:
                return opened.pop(place)[1]
        return None


class _StepValue(LocalTotal):
    """One number of an observed series.

    Args:
        observed: the series.
        index: the place of the number in the packed line, from 1.
        counts: whether the number counts observations.
    """

    __slots__ = ("_counts", "_index", "_observed", "series")

    def __init__(self, observed: _ObservedSeries, index: int, *, counts: bool = False) -> None:
        super().__init__()
        self._observed = observed
        self._index = index
        self._counts = counts
        self.series = observed.series

    def carry_over(self, amount: float) -> None:
        """Add what was observed before the value took its place."""
        with RECORDER.lock:
            if math.isnan(amount):
                RECORDER.count_lost(self.series.schema.name, 1.0)
            elif amount:
                self._total += amount
                RECORDER.add(self.series, self._index, amount, amount if self._counts else 0.0)


class _FirstStep(_StepValue):
    """The number that prometheus_client adds to first: the first one of the packed line."""

    __slots__ = ()

    def inc(self, amount: float) -> None:
        with RECORDER.lock:
            if math.isnan(amount):
                # NaN falls into no bucket, and the shared sum would be NaN for ever.
                RECORDER.count_lost(self.series.schema.name, 1.0)
            else:
                self._total += amount
                self._observed.opened.append((threading.get_ident(), amount))

    def observe(self, amount: float, bucket: _StepValue) -> None:
        """Take both steps of a histogram's observation at once.

        Args:
            amount: what is observed, a number.
            bucket: the one that it falls into.
        """
        series, index = self.series, bucket._index  # noqa: SLF001
        with RECORDER.lock:
            self._total += amount
            bucket._total += 1.0  # noqa: SLF001
            series.amounts[1] += amount
            RECORDER.add(series, index, 1.0, 1.0)
        if (call := CURRENT_CALL.get()) is not None and call.exemplar:
            record_exemplar(series, index, amount, None)


class _SecondStep(_StepValue):
    """A number that prometheus_client adds to second."""

    __slots__ = ()

    def inc(self, amount: float) -> None:
        series, counts = self.series, self._counts
        with RECORDER.lock:
            first = self._observed.take_first_step(threading.get_ident())
            if math.isnan(amount):
                RECORDER.count_lost(series.schema.name, 1.0)
                return
            if first is not None:
                series.amounts[1] += first
            self._total += amount
            # Both parts have one weight: that of the one that counts.
            RECORDER.add(series, self._index, amount, amount if counts else first or 0.0)
        # A value that counts is a bucket, and the first step had the amount observed.
        if counts and first is not None and (call := CURRENT_CALL.get()) is not None and call.exemplar:
            record_exemplar(series, self._index, first, None)

    def set_exemplar(self, exemplar: Exemplar) -> None:
        """Keep the exemplar that the caller of `observe` gave for this bucket."""
        self._exemplar = exemplar
        record_exemplar(self.series, self._index, exemplar.value, exemplar.labels)
