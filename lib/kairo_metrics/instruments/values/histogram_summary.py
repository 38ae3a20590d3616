"""The values under histograms and summaries.

A histogram and a summary tell an observation in two steps (sum then bucket, count then sum). The first
step waits, per thread, for the second, so that no batch ever holds half an observation.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

from prometheus_client.samples import Exemplar

from ..pending_series import PendingSeries
from .base import RECORDER, Local, schema_of, series_of
from .request_exemplar import exemplify

__all__ = ["histogram_value", "summary_value"]

# Where it is added, how much, and its weight.
_Step = tuple[int, float, float]

_drafts = threading.local()


def histogram_value(
    family: str, name: str, labelnames: Sequence[str], labelvalues: Sequence[str], help_text: str
) -> _Part:
    """Return the next value of a histogram under construction: its sum, then bucket by bucket."""
    if name.endswith("_sum"):
        _drafts.histogram = _HistogramDraft(family, labelnames, labelvalues, help_text)
        return _First(_drafts.histogram.observed, 1)
    draft: _HistogramDraft = _drafts.histogram
    return _Second(draft.observed, draft.add_bound(labelvalues[-1]), counts=True)


def summary_value(
    family: str, name: str, labelnames: Sequence[str], labelvalues: Sequence[str], help_text: str
) -> _Part:
    """Return the next value of a summary under construction: its count, then its sum."""
    if name.endswith("_count"):
        _drafts.summary = _Observed()
        _drafts.summary.begin(series_of(schema_of(family, "summary", labelnames, help_text), labelnames, labelvalues))
        return _First(_drafts.summary, 1, counts=True)
    return _Second(_drafts.summary, 2)


class _Observed:
    """A series whose observations come in two steps; `opened` holds the first ones, each with its thread.

    A thread has more than one open when a signal handler or a finalizer observes in the midst of it.
    """

    __slots__ = ("opened", "series")

    series: PendingSeries

    def __init__(self) -> None:
        self.opened: list[tuple[int, _Step]] = []

    def begin(self, series: PendingSeries) -> None:
        """Take the series, and announce it at zero."""
        self.series = series
        with RECORDER.lock:
            RECORDER.touch(series)

    def close(self, thread: int) -> list[_Step]:
        """Return the step that the thread has opened last, if there is one."""
        for place in range(len(self.opened) - 1, -1, -1):
            if self.opened[place][0] == thread:
                return [self.opened.pop(place)[1]]
        return []


class _Part(Local):
    """One number of an observed series.

    Args:
        observed: the series.
        index: where the number stands in the packed line, from 1.
        counts: whether its amount is a number of observations.
    """

    __slots__ = ("_counts", "_index", "_observed")

    def __init__(self, observed: _Observed, index: int, *, counts: bool = False) -> None:
        super().__init__()
        self._observed = observed
        self._index = index
        self._counts = counts

    @property
    def series(self) -> PendingSeries:
        """The series that this is a number of."""
        return self._observed.series

    def _step(self, amount: float) -> _Step:
        self._total += amount
        return self._index, amount, amount if self._counts else 0.0


class _First(_Part):
    """The step that opens an observation."""

    __slots__ = ()

    def inc(self, amount: float) -> None:
        with RECORDER.lock:
            if math.isnan(amount):
                # It falls into no bucket, and the shared sum would be NaN for ever.
                RECORDER.lose(self.series.schema.name, 1.0)
            else:
                self._observed.opened.append((threading.get_ident(), self._step(amount)))


class _Second(_Part):
    """The step that completes it."""

    __slots__ = ()

    def inc(self, amount: float) -> None:
        observed = self._observed
        with RECORDER.lock:
            thread, opened = threading.get_ident(), observed.opened
            steps = [opened.pop()[1]] if opened and opened[-1][0] == thread else observed.close(thread)
            if math.isnan(amount):
                RECORDER.lose(self.series.schema.name, 1.0)
                return
            for index, part, weight in (*steps, self._step(amount)):
                RECORDER.add(self.series, index, part, weight=weight)
        if steps and self._counts:  # a bucket; what was observed has come with the sum
            exemplify(self.series, self._index, steps[0][1], None)

    def set_exemplar(self, exemplar: Exemplar) -> None:
        """Keep what the caller of `observe` gave for this bucket."""
        self._exemplar = exemplar
        exemplify(self.series, self._index, exemplar.value, exemplar.labels)


class _HistogramDraft:
    """A histogram child under construction."""

    def __init__(self, name: str, labelnames: Sequence[str], labelvalues: Sequence[str], help_text: str) -> None:
        self.observed = _Observed()
        self._family = (name, "histogram", labelnames, help_text)
        self._labels = (labelnames, labelvalues)
        self._bounds: list[str] = []

    def add_bound(self, bound: str) -> int:
        """Take the next upper bound; return the index of its count, behind the sum."""
        self._bounds.append(bound)
        if bound == "+Inf":
            self.observed.begin(series_of(schema_of(*self._family, bounds=tuple(self._bounds)), *self._labels))
        return len(self._bounds) + 1
