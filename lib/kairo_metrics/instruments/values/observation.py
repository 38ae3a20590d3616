"""The values under histograms and summaries.

prometheus_client makes an observation in two steps: a histogram's sum and then a bucket, a summary's count and then
its sum. The first step waits, for each thread, until the second has come, so that no batch has half an observation.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

from prometheus_client.samples import Exemplar

from ..pending_series import PendingSeries, new_series, schema_of
from .exemplar import record_exemplar
from .value import RECORDER, LocalTotal

__all__ = ["histogram_value", "summary_value"]

# The index of the number, the amount that is added to it, and its weight.
_Step = tuple[int, float, float]

# prometheus_client makes the values of a child one after the other, in one thread.
_unfinished = threading.local()


def histogram_value(
    family: str, name: str, labelnames: Sequence[str], labelvalues: Sequence[str], help_text: str
) -> _StepValue:
    """Return the next value of a histogram child under construction: its sum, then bucket by bucket."""
    if name.endswith("_sum"):
        _unfinished.histogram = _UnfinishedHistogram(family, labelnames, labelvalues, help_text)
        return _FirstStep(_unfinished.histogram.observed, 1)
    unfinished: _UnfinishedHistogram = _unfinished.histogram
    return _SecondStep(unfinished.observed, unfinished.add_bound(labelvalues[-1]), counts=True)


def summary_value(
    family: str, name: str, labelnames: Sequence[str], labelvalues: Sequence[str], help_text: str
) -> _StepValue:
    """Return the next value of a summary child under construction: its count, then its sum."""
    if name.endswith("_count"):
        observed = _unfinished.summary = _ObservedSeries()
        observed.announce(new_series(schema_of(family, "summary", labelnames, help_text), labelnames, labelvalues))
        return _FirstStep(observed, 1, counts=True)
    return _SecondStep(_unfinished.summary, 2)


class _ObservedSeries:
    """A series whose observations come in two steps; `opened` has the first steps that wait, each with its thread.

    A thread has more than one of them if a signal handler or a finalizer observes between the two steps.
    """

    __slots__ = ("opened", "series")

    series: PendingSeries

    def __init__(self) -> None:
        self.opened: list[tuple[int, _Step]] = []

    def announce(self, series: PendingSeries) -> None:
        """Set the series, and send it at zero."""
        self.series = series
        with RECORDER.lock:
            RECORDER.touch(series)

    def take_first_step(self, thread: int) -> list[_Step]:
        """Return the last first step of the thread that waits, if there is one."""
        for place in range(len(self.opened) - 1, -1, -1):
            if self.opened[place][0] == thread:
                return [self.opened.pop(place)[1]]
        return []


class _StepValue(LocalTotal):
    """One number of an observed series.

    Args:
        observed: the series.
        index: the place of the number in the packed line, from 1.
        counts: whether the number counts observations.
    """

    __slots__ = ("_counts", "_index", "_observed")

    def __init__(self, observed: _ObservedSeries, index: int, *, counts: bool = False) -> None:
        super().__init__()
        self._observed = observed
        self._index = index
        self._counts = counts

    @property
    def series(self) -> PendingSeries:
        """The series that the number belongs to."""
        return self._observed.series

    def _step(self, amount: float) -> _Step:
        self._total += amount
        return self._index, amount, amount if self._counts else 0.0


class _FirstStep(_StepValue):
    """The number that prometheus_client adds to first."""

    __slots__ = ()

    def inc(self, amount: float) -> None:
        with RECORDER.lock:
            if math.isnan(amount):
                # NaN falls into no bucket, and the shared sum would be NaN for ever.
                RECORDER.count_lost(self.series.schema.name, 1.0)
            else:
                self._observed.opened.append((threading.get_ident(), self._step(amount)))


class _SecondStep(_StepValue):
    """A number that prometheus_client adds to second."""

    __slots__ = ()

    def inc(self, amount: float) -> None:
        observed = self._observed
        with RECORDER.lock:
            thread, opened = threading.get_ident(), observed.opened
            steps = [opened.pop()[1]] if opened and opened[-1][0] == thread else observed.take_first_step(thread)
            if math.isnan(amount):
                RECORDER.count_lost(self.series.schema.name, 1.0)
                return
            for index, part, weight in (*steps, self._step(amount)):
                RECORDER.add(self.series, index, part, weight=weight)
        if steps and self._counts:  # this is a bucket, and the first step had the amount observed
            record_exemplar(self.series, self._index, steps[0][1], None)

    def set_exemplar(self, exemplar: Exemplar) -> None:
        """Keep the exemplar that the caller of `observe` gave for this bucket."""
        self._exemplar = exemplar
        record_exemplar(self.series, self._index, exemplar.value, exemplar.labels)


class _UnfinishedHistogram:
    """A histogram child under construction."""

    def __init__(self, name: str, labelnames: Sequence[str], labelvalues: Sequence[str], help_text: str) -> None:
        self.observed = _ObservedSeries()
        self._family = (name, "histogram", labelnames, help_text)
        self._labels = (labelnames, labelvalues)
        self._bounds: list[str] = []

    def add_bound(self, bound: str) -> int:
        """Add the next upper bound; return the place of its count in the packed line, after the sum."""
        self._bounds.append(bound)
        if bound == "+Inf":
            self.observed.announce(new_series(schema_of(*self._family, bounds=tuple(self._bounds)), *self._labels))
        return len(self._bounds) + 1
