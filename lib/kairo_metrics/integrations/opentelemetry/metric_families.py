"""What OpenTelemetry's metrics become here: instruments that are in no registry.

A family has one instrument for each set of label names: attributes may differ from point to point.
"""

from __future__ import annotations

import math
from collections import Counter as Counts
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.metrics.export import DataPointT, HistogramDataPoint, Metric
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from ...instruments.adoption import adopt_instrument
from ...instruments.children import known_child
from ...instruments.native_histogram import NativeHistogram
from ...instruments.recorder import RECORDER
from ...instruments.sharing import child_series
from ...model.delivery_metrics import OVERFLOWED
from ...model.native_counts import FINEST
from ...model.schema import INSTANCE_LABEL
from .points import ADD, count, kind_of
from .prometheus_names import family_name, labels_of, unit_name

__all__ = ["Families"]

_Labels = tuple[str, ...]
# One instrument of a family: its kind, its name, its label names and its bounds.
_Key = tuple[str, str, _Labels, tuple[float, ...]]
# What the SDK adds up by itself: a scope, a metric, and attributes as text.
_Stream = tuple[Any, str, str]

# So many sets of label names may a family have, because each of them is announced to the store.
_MAX_LABEL_SETS = 100
# The labels for the rest, as OpenTelemetry has them.
_OVERFLOW = {"otel_metric_overflow": "true"}
# The labels that a family of a kind has itself.
_RESERVED: Mapping[str, tuple[str, ...]] = {"histogram": ("le",), "native": ("le",), "held": (INSTANCE_LABEL,)}
# The bounds of OpenTelemetry's own histograms, in ms or bytes or whatever is measured.
_BOUNDS = (0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0)


class Families:
    """The families of one reader's metrics.

    Args:
        prefix: goes before their names, with a `_`.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._instruments: dict[_Key, Any] = {}
        self._label_sets: Counts[tuple[str, str]] = Counts()
        # What callbacks that count told last.
        self._told: dict[_Stream, float] = {}
        # What callbacks tell in this collection that this instance holds, by child; and the place of each such child.
        self._held: dict[Any, float] = {}
        self._holding: dict[Any, tuple[_Key, _Labels]] = {}

    def begin_anew(self) -> None:
        """Let the next points go to new series: the recorder is a new one."""
        self._instruments.clear()
        self._label_sets.clear()
        self._holding.clear()

    def record(self, metric: Metric, point: DataPointT, scope: Any, around: Sequence[Mapping[str, Any]]) -> None:
        """Record a point of a metric.

        Args:
            metric: as the SDK has collected it.
            point: one of its points.
            scope: the instrumentation scope that has counted.
            around: the attributes of the resource and of the scope that are labels.

        Raises:
            ValueError: it has a kind, a name or bounds that can't be shown.
            OverflowError: its number is too large.
        """
        kind, attributes = kind_of(metric.data), point.attributes or {}
        labels = labels_of([*around, attributes], _RESERVED.get(kind, ()))
        bounds = tuple(point.explicit_bounds) if isinstance(point, HistogramDataPoint) else ()
        key = self._key(kind, metric, labels, bounds)
        values = tuple((labels if key[2] == tuple(labels) else _OVERFLOW).values())
        child = self._child(key, metric, values)
        if child_series(child) is None:
            return  # its name is ours, and the log says so
        if kind == "told":
            stream = scope, metric.name, repr(sorted(attributes.items()))
            count(child, self._increase(stream, _number(point)))
        elif kind == "held":
            self._held[child] = self._held.get(child, 0.0) + _number(point)
            child.set(self._held[child])
            self._holding[child] = key, values
        else:
            ADD[kind](child, point)

    def end_collection(self) -> None:
        """Take back what callbacks held before and do not tell any more."""
        held, self._held = self._held, {}
        for child in self._holding.keys() - held.keys():
            key, values = self._holding.pop(child)
            if values:
                self._instruments[key]._metrics.pop(values, None)  # noqa: SLF001  prometheus_client keeps it private
            else:
                del self._instruments[key]
            if (series := child_series(child)) is not None:
                RECORDER.remove(series)

    def _key(self, kind: str, metric: Metric, labels: Mapping[str, str], bounds: tuple[float, ...]) -> _Key:
        name = family_name(
            metric.name, unit_name(metric.unit or ""), prefix=self._prefix, is_counter=kind in {"counted", "told"}
        )
        key = kind, name, tuple(labels), bounds
        if key in self._instruments or self._label_sets[kind, name] < _MAX_LABEL_SETS:
            return key
        with RECORDER.lock:
            RECORDER.count(OVERFLOWED, name)
        return kind, name, tuple(_OVERFLOW), bounds

    def _child(self, key: _Key, metric: Metric, values: _Labels) -> Any:
        """Return the child of an instrument with these label values; both are made if they are not there."""
        kind, name, labelnames, bounds = key
        instrument = self._instruments.get(key)
        if instrument is None:
            unit = unit_name(metric.unit or "")
            instrument = _BUILD[kind](name, metric.description or "", labelnames, unit, bounds)
            adopt_instrument(instrument)
            self._instruments[key] = instrument
            self._label_sets[kind, name] += 1
        return known_child(instrument, values) if values else instrument

    def _increase(self, stream: _Stream, value: float) -> float:
        """Return what was counted since a callback told the last time; if it tells less, it has begun at zero."""
        if not 0 <= value < math.inf:
            return math.nan  # no counter has such a total: it is counted as lost
        told, self._told[stream] = self._told.get(stream, 0.0), value
        return value - told if value >= told else value


def _number(point: Any) -> float:
    return float(point.value)


class _ExplicitHistogram(Histogram):
    """A histogram that may have no bound but the infinite one, which prometheus_client refuses."""

    def _prepare_buckets(self, source_buckets: Sequence[float | str]) -> None:
        self._upper_bounds = [*map(float, source_buckets), math.inf]


_Build = Callable[[str, str, _Labels, str, tuple[float, ...]], MetricWrapperBase]


def _counter(name: str, text: str, labelnames: _Labels, unit: str, _bounds: object) -> Counter:
    return Counter(f"{name}_total", text, labelnames, unit=unit, registry=None)


def _gauge(mode: Any) -> _Build:
    return lambda name, text, labelnames, unit, _bounds: Gauge(
        name, text, labelnames, unit=unit, multiprocess_mode=mode, registry=None
    )


def _histogram(name: str, text: str, labelnames: _Labels, unit: str, bounds: tuple[float, ...]) -> Histogram:
    return _ExplicitHistogram(name, text, labelnames, unit=unit, buckets=bounds, registry=None)


def _native(name: str, text: str, labelnames: _Labels, unit: str, _bounds: object) -> NativeHistogram:
    # The bounds are for scrapers that do not know native histograms.
    bounds = Histogram.DEFAULT_BUCKETS if unit == "seconds" else _BOUNDS
    return NativeHistogram(name, text, labelnames, schema=FINEST, buckets=bounds, unit=unit, registry=None)


_BUILD: Mapping[str, _Build] = {
    "counted": _counter,
    "told": _counter,
    "added": _gauge("sum"),
    "held": _gauge("livesum"),
    "set": _gauge("mostrecent"),
    "histogram": _histogram,
    "native": _native,
}
