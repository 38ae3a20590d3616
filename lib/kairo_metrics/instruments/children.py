"""The children of an instrument: one for each label set, and not more of them than the store has room for.

prometheus_client keeps a child for ever. Whoever may choose a label's value could so fill an instance's memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from prometheus_client.metrics import Counter, Enum, Gauge, Histogram, Info, MetricWrapperBase, Summary

from ..model.moment import elapsed_s
from ..model.schema import OVERFLOW
from .pending_series import PendingSeries
from .values import RECORDER
from .values.info_stateset import Word

__all__ = ["WORD", "Children", "bound", "child_of", "child_series", "values_of"]

# Where an info or an enum keeps our word; prometheus_client gives them no value.
WORD = "_kairo_word"

# In characters, as it is printed: a value may be as long as a request's body.
_LONGEST_LABELS = 4_096
_IDLE_S = 3_600.0
_SEARCHED_EVERY_S = 60.0
_Labels = tuple[str, ...]


class Children(dict[_Labels, Any]):
    """What an instrument with labels keeps its children in; a child that finds no room is another's.

    `labels` puts a new child in, and then takes out what it returns. A label set that is one too many, or longer than
    any that is meant, is not put in; taken out is the child whose labels are all `__overflow__`, and that is counted. A
    child that nobody has touched for an hour makes room: what it has counted is in the store. Looking up what is there
    is the dictionary's own doing and costs nothing.

    Args:
        instrument: whose they are.
        children: those that it has already, however many.
    """

    __slots__ = ("_instrument", "_overflow", "_searched_at", "_turned_away")

    # The store's bounds: a process has one.
    max_series = 10_000
    idle_s = _IDLE_S

    def __init__(self, instrument: Any, children: Mapping[_Labels, Any] | None = None) -> None:
        super().__init__(children or {})
        self._instrument = instrument
        self._overflow = (OVERFLOW,) * len(instrument._labelnames)  # noqa: SLF001  prometheus_client keeps it private
        self._turned_away: _Labels | None = None
        self._searched_at = RECORDER.now()

    def __setitem__(self, labels: _Labels, child: Any) -> None:
        series = child_series(child)
        # One without a series is of an instrument that is not shared, and so not ours to bound.
        if series is None or labels == self._overflow or (len(series.text) <= _LONGEST_LABELS and self._has_room()):
            super().__setitem__(labels, child)
        else:
            RECORDER.turn_away(series)
            self._turned_away = labels

    def __missing__(self, labels: _Labels) -> Any:
        if labels != self._turned_away:
            raise KeyError(labels)
        if self._overflow not in self:
            super().__setitem__(self._overflow, child_of(self._instrument, self._overflow))
        return self[self._overflow]

    def _has_room(self) -> bool:
        return self._count() < self.max_series or self._forget_idle()

    def _count(self) -> int:
        return len(self) - (self._overflow in self)

    def _forget_idle(self) -> bool:
        """Search all, now and then, for those that nobody touches; whoever holds one may go on with it."""
        now = RECORDER.now()
        if elapsed_s(self._searched_at, now) < _SEARCHED_EVERY_S:
            return False
        self._searched_at = now
        for labels in [labels for labels, child in self.items() if _can_be_forgotten(child, self.idle_s)]:
            del self[labels]
        return self._count() < self.max_series


def bound(max_series: int, series_ttl_s: float) -> None:
    """Let all instruments have so many children.

    Args:
        max_series: for each instrument.
        series_ttl_s: seconds after which the store forgets a series; a child that is idle for so long, or for an hour,
            makes room for another one.
    """
    Children.max_series, Children.idle_s = max_series, min(series_ttl_s, _IDLE_S)


def _can_be_forgotten(child: Any, idle_s: float) -> bool:
    series = child_series(child)
    if series is None or series.schema.per_instance or RECORDER.idle_s(series) < idle_s:
        return False
    # What a gauge adds to a shared sum it may take out again, and for that must know how much it is.
    return not (isinstance(child, Gauge) and series.schema.rule == "sum" and child._value.get())  # noqa: SLF001


def child_of(instrument: Any, labels: Sequence[Any]) -> Any:
    """Return a new child for these labels that the instrument does not know of."""
    child = copy(instrument)
    child._labelvalues = tuple(map(str, labels))  # noqa: SLF001
    child._metric_init()  # noqa: SLF001
    if isinstance(child, Info | Enum):
        setattr(child, WORD, Word(child))
    return child


def values_of(child: Any) -> list[Any]:
    """List the child's values, in the order in which an observation tells them."""
    if isinstance(child, Histogram):
        return [child._sum, *child._buckets]  # noqa: SLF001
    if isinstance(child, Summary):
        return [child._count, child._sum]  # noqa: SLF001
    if isinstance(child, Counter | Gauge):
        return [child._value]  # noqa: SLF001
    return []


def child_series(child: MetricWrapperBase) -> PendingSeries | None:
    """Return the child's series; None if it has none, because its registry was not adopted."""
    holders = [getattr(child, WORD, None), getattr(child, "_value", None), *values_of(child)]
    return next((holder.series for holder in holders if hasattr(holder, "series")), None)
