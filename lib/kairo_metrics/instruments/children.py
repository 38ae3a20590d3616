"""The children of an instrument: one for each label set, up to the number of series that the store has room for.

prometheus_client keeps every child for ever. A client that can choose a label's value could fill an instance's memory.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from prometheus_client.metrics import Gauge

from ..model.moment import elapsed_s
from ..model.schema import OVERFLOW
from .child_limits import LIMITS
from .recorder import RECORDER
from .sharing import child_series, share

__all__ = ["Children", "adopt_children", "child_of", "count", "known_child", "observe"]

# In characters of the printed label text: a label's value may be as long as a request's body.
_LONGEST_LABELS = 4_096
_SEARCHED_EVERY_S = 60.0
_Labels = tuple[str, ...]


class Children(dict[_Labels, Any]):
    """The children of an instrument with labels, by label values; it takes the place of prometheus_client's dictionary.

    `labels` of prometheus_client stores a new child, and then reads it back. If the instrument has too many children,
    or the label text is too long, the child is not stored, and the read returns the child whose labels are all
    `__overflow__`; the recorder counts that. A child that was idle for an hour makes room for another one: what it
    counted is in the store. The look-up of a child that exists is the dictionary's own, and costs nothing more.

    Args:
        instrument: the instrument.
        children: those that it has already; all of them are kept and shared.
    """

    __slots__ = ("_instrument", "_overflow", "_rejected", "_searched_at")

    def __init__(self, instrument: Any, children: Mapping[_Labels, Any] | None = None) -> None:
        super().__init__(children or {})
        for child in self.values():
            share(child)
        self._instrument = instrument
        self._overflow = (OVERFLOW,) * len(instrument._labelnames)  # noqa: SLF001  prometheus_client keeps it private
        self._rejected: _Labels | None = None
        self._searched_at = RECORDER.now()

    def __setitem__(self, labels: _Labels, child: Any) -> None:
        share(child)
        series = child_series(child)
        # A child without a series is of a class that is not shared, and has no limit.
        if series is None or labels == self._overflow or (len(series.text) <= _LONGEST_LABELS and self._has_room()):
            super().__setitem__(labels, child)
        else:
            RECORDER.reject(series)
            self._rejected = labels

    def __missing__(self, labels: _Labels) -> Any:
        if labels != self._rejected:
            raise KeyError(labels)
        if self._overflow not in self:
            super().__setitem__(self._overflow, child_of(self._instrument, self._overflow))
        return self[self._overflow]

    def _has_room(self) -> bool:
        return self._count() < LIMITS.max_series or self._forget_idle()

    def _count(self) -> int:
        return len(self) - (self._overflow in self)

    def _forget_idle(self) -> bool:
        """Take out the idle children, once a minute at most; a program that holds one may go on with it."""
        now = RECORDER.now()
        if elapsed_s(self._searched_at, now) < _SEARCHED_EVERY_S:
            return False
        self._searched_at = now
        for labels in [labels for labels, child in self.items() if _can_be_forgotten(child, LIMITS.idle_s)]:
            del self[labels]
        return self._count() < LIMITS.max_series


def adopt_children(instrument: Any) -> None:
    """Record what the children of an instrument count, and limit them; a second call changes nothing."""
    with instrument._lock:  # noqa: SLF001  prometheus_client keeps its children private
        if not isinstance(instrument._metrics, Children):  # noqa: SLF001
            instrument._metrics = Children(instrument, instrument._metrics)  # noqa: SLF001


def _can_be_forgotten(child: Any, idle_s: float) -> bool:
    series = child_series(child)
    if series is None or series.schema.per_instance or RECORDER.idle_s(series) < idle_s:
        return False
    # To take its share out of a shared sum later, a gauge must know how much it is.
    return not (isinstance(child, Gauge) and series.schema.rule == "sum" and child._value.get())  # noqa: SLF001


def known_child(instrument: Any, labels: _Labels) -> Any:
    """Return the child that `labels` of the instrument returns, for values that are text in the order of the labels.

    `labels` makes text of the values and takes a lock first. `count` and `observe` have the same expression: a request
    asks for several children, and calls cost more than what they do.
    """
    return instrument._metrics.get(labels) or instrument.labels(*labels)  # noqa: SLF001  prometheus_client's are private


def count(counter: Any, labels: _Labels) -> None:
    """Add one to the child with these labels; see `known_child`. The child's `inc` first looks whether it may."""
    (counter._metrics.get(labels) or counter.labels(*labels))._value.inc(1.0)  # noqa: SLF001


def observe(histogram: Any, labels: _Labels, amount: float) -> None:
    """Observe a number in the child with these labels, in one step where `observe` of prometheus_client takes two.

    Args:
        histogram: one with labels.
        labels: see `known_child`.
        amount: a number.
    """
    child = histogram._metrics.get(labels) or histogram.labels(*labels)  # noqa: SLF001
    in_one_step = getattr(child._sum, "observe", None)  # noqa: SLF001  asked so, since it is quicker than `is_shared`
    if in_one_step is not None:
        in_one_step(amount, child._buckets[bisect_left(child._upper_bounds, amount)])  # noqa: SLF001
    else:  # no pipeline was opened yet
        child.observe(amount)


def child_of(instrument: Any, labels: Sequence[Any]) -> Any:
    """Return a new child with these label values, which the instrument does not have among its children."""
    child = copy(instrument)
    child._labelvalues = tuple(map(str, labels))  # noqa: SLF001
    child._metric_init()  # noqa: SLF001
    share(child)
    return child
