"""The values under `prometheus_client`'s instruments: they record deltas of touched series.

`prometheus_client` builds every number of an instrument through `prometheus_client.values.ValueClass`;
`make_value` stands there. A value keeps its local total, so that the program's own registry reads as
before, and adds what changed to its series in the recorder.

A histogram and a summary tell an observation in two steps (sum then bucket, count then sum). The first
step waits, per thread, for the second, so that no batch ever holds half an observation.
"""

from __future__ import annotations

import math
import os
import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol

from .recorder import Recorder, Series
from .store.schema import Schema, is_classic, label_text

__all__ = ["RECORDER", "Value", "is_shared", "make_value"]

# prometheus_client's instruments are the process's own, and so is the place they record into.
RECORDER = Recorder()

_SHARED_GAUGE_MODES = ("sum", "mostrecent")
_schemas: dict[tuple[Any, ...], Schema] = {}
_drafts = threading.local()


class Value(Protocol):
    """What all instruments of prometheus_client call."""

    def get(self) -> float:
        """Return what this process has added up."""


def make_value(  # noqa: PLR0913, PLR0917  the signature is prometheus_client's
    typ: str,
    metric_name: str,
    name: str,
    labelnames: Sequence[str],
    labelvalues: Sequence[str],
    help_text: str,
    multiprocess_mode: str = "",
) -> Value:
    """Stand in for `prometheus_client.values.ValueClass`.

    Raises:
        NotImplementedError: a gauge mode, or a name beyond the classic letters, that is not shared yet.
    """
    if not is_classic(metric_name, labelnames):
        raise NotImplementedError(f"{typ} {metric_name!r}: UTF-8 names are not shared between instances yet")
    if typ == "histogram":
        if name.endswith("_sum"):
            _drafts.histogram = _HistogramDraft(metric_name, labelnames, labelvalues, help_text)
            return _First(_drafts.histogram.observed, 1)
        draft: _HistogramDraft = _drafts.histogram
        return _Second(draft.observed, draft.add_bound(labelvalues[-1]), counts=True)
    if typ == "summary":
        if name.endswith("_count"):
            _drafts.summary = _Observed()
            _drafts.summary.series = _series(_schema(metric_name, typ, labelnames, help_text), labelnames, labelvalues)
            return _First(_drafts.summary, 1, counts=True)
        return _Second(_drafts.summary, 2)
    mode = multiprocess_mode if typ == "gauge" else ""
    if typ == "gauge" and mode not in _SHARED_GAUGE_MODES:
        raise NotImplementedError(
            f"gauge {metric_name}: multiprocess_mode={mode!r} is not shared between instances yet; "
            f"'sum' and 'mostrecent' are"
        )
    series = _series(_schema(metric_name, typ, labelnames, help_text, mode=mode), labelnames, labelvalues)
    if typ == "counter":
        return _Counter(series)
    return _SumGauge(series) if mode == "sum" else _LatestGauge(series)


def is_shared(value: object) -> bool:
    """Tell whether `make_value` made it."""
    return isinstance(value, _Local)


def _schema(  # noqa: PLR0913  a schema has that many parts
    name: str,
    typ: str,
    labelnames: Sequence[str],
    help_text: str,
    *,
    bounds: tuple[str, ...] = (),
    mode: str = "",
) -> Schema:
    """Return the one `Schema` object of this identity, so that a child costs no digest."""
    key = (name, typ, tuple(labelnames), bounds, mode, help_text)
    schema = _schemas.get(key)
    if schema is None:
        schema = Schema(name, typ, tuple(sorted(labelnames)), bounds, mode, help_text)
        _schemas[key] = schema
    return schema


def _series(schema: Schema, labelnames: Sequence[str], labelvalues: Sequence[str]) -> Series:
    labels = dict(zip(labelnames, labelvalues, strict=True))
    series = Series(schema, label_text(schema.labelnames, [labels[name] for name in schema.labelnames]))
    if schema.rule == "sum":
        # A new series is announced at zero, as it would be on the program's own page: only then can
        # Prometheus see its first increment.
        with RECORDER.lock:
            RECORDER.touch(series)
    return series


class _Local:
    """What all values have: a total of this process, and no exemplar."""

    __slots__ = ("_total",)

    def __init__(self) -> None:
        self._total = 0.0

    def get(self) -> float:
        return self._total

    def get_exemplar(self) -> None:
        return None

    def set_exemplar(self, _exemplar: object) -> None:
        raise NotImplementedError("exemplars are not shared between instances yet")


class _Plain(_Local):
    """A value with a series of its own."""

    __slots__ = ("_series",)

    def __init__(self, series: Series) -> None:
        super().__init__()
        self._series = series


class _Counter(_Plain):
    __slots__ = ()

    def inc(self, amount: float) -> None:
        with RECORDER.lock:
            if math.isnan(amount):
                # Added once, it would be the shared total for ever, and scrapers refuse it.
                RECORDER.lose(self._series.schema.name, 1.0)
                return
            self._total += amount
            RECORDER.add(self._series, 1, amount, weight=amount)

    def set(self, _value: float) -> None:
        raise NotImplementedError(f"counter {self._series.schema.name}: reset() is not shared between instances yet")


class _SumGauge(_Plain):
    """The shared value is the sum of what each instance holds."""

    __slots__ = ("_process",)

    def __init__(self, series: Series) -> None:
        super().__init__(series)
        self._process = os.getpid()

    def inc(self, amount: float) -> None:
        self._require_finite(amount)
        with RECORDER.lock:
            self._start_anew_after_fork()
            self._total += amount
            RECORDER.add(self._series, 1, amount, weight=1.0)

    def set(self, value: float) -> None:
        self._require_finite(value)
        with RECORDER.lock:
            self._start_anew_after_fork()
            RECORDER.add(self._series, 1, value - self._total, weight=1.0)
            self._total = value

    def _start_anew_after_fork(self) -> None:
        # What the parent holds is the parent's share of the sum.
        if self._process != os.getpid():
            self._process, self._total = os.getpid(), 0.0

    def _require_finite(self, number: float) -> None:
        if not math.isfinite(number):
            name = self._series.schema.name
            raise NotImplementedError(f"gauge {name}: a sum over instances can't take {number} back out yet")


class _LatestGauge(_Plain):
    """The shared value is the one set last, by whichever instance; prometheus_client lets nobody add to it."""

    __slots__ = ()

    def set(self, value: float, timestamp: float | None = None) -> None:
        del timestamp  # a client's clock; the store has its own and is told the setting's age
        with RECORDER.lock:
            self._total = value
            RECORDER.replace(self._series, value)


class _Observed:
    """A series whose observations come in two steps; `opened` holds the first ones, by thread.

    A thread has more than one open when a signal handler or a finalizer observes in the midst of it.
    """

    __slots__ = ("opened", "series")

    series: Series

    def __init__(self) -> None:
        self.opened: defaultdict[int, list[tuple[int, float, float]]] = defaultdict(list)


class _Part(_Local):
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

    def _step(self, amount: float) -> tuple[int, float, float]:
        self._total += amount
        return self._index, amount, amount if self._counts else 0.0


class _First(_Part):
    """The step that opens an observation."""

    __slots__ = ()

    def inc(self, amount: float) -> None:
        with RECORDER.lock:
            if math.isnan(amount):
                # It falls into no bucket, and the shared sum would be NaN for ever.
                RECORDER.lose(self._observed.series.schema.name, 1.0)
            else:
                self._observed.opened[threading.get_ident()].append(self._step(amount))


class _Second(_Part):
    """The step that completes it."""

    __slots__ = ()

    def inc(self, amount: float) -> None:
        observed = self._observed
        with RECORDER.lock:
            opened = observed.opened[threading.get_ident()]
            steps = [opened.pop()] if opened else []
            if math.isnan(amount):
                RECORDER.lose(observed.series.schema.name, 1.0)
                return
            for index, part, weight in (*steps, self._step(amount)):
                RECORDER.add(observed.series, index, part, weight=weight)


class _HistogramDraft:
    """A histogram child under construction: prometheus_client makes its sum, then bucket by bucket."""

    def __init__(self, name: str, labelnames: Sequence[str], labelvalues: Sequence[str], help_text: str) -> None:
        self.observed = _Observed()
        self._family = (name, "histogram", labelnames, help_text)
        self._labels = (labelnames, labelvalues)
        self._bounds: list[str] = []

    def add_bound(self, bound: str) -> int:
        """Take the next upper bound; return the index of its count, behind the sum."""
        self._bounds.append(bound)
        if bound == "+Inf":
            self.observed.series = _series(_schema(*self._family, bounds=tuple(self._bounds)), *self._labels)
        return len(self._bounds) + 1
