"""Putting our values under `prometheus_client`, also under instruments that exist already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from functools import wraps
from typing import Any

from prometheus_client import CollectorRegistry, values
from prometheus_client.metrics import Enum, Gauge, Info, MetricWrapperBase

from ..model.encoding import label_text
from .children import WORD, Children, child_of, child_series, values_of
from .values import RECORDER, is_shared, make_value
from .values.info_stateset import Word

__all__ = ["adopt", "unit_of"]

_registries: list[CollectorRegistry] = []
_Method = Callable[..., Any]


def adopt(*registries: CollectorRegistry) -> None:
    """Record from now on, and carry over the instruments that the registries hold already.

    What an instrument has counted so far becomes its first delta. Calling it again is harmless.
    """
    # A function stands in for the class: which class it is depends on the instrument.
    values.ValueClass = make_value
    _extend(MetricWrapperBase, "__init__", _with_children)
    _extend(Info, "__init__", _with_word)
    _extend(Enum, "__init__", _with_word)
    _extend(Info, "info", _saying)
    _extend(Enum, "state", _saying)
    _extend(Gauge, "set_function", _following)
    for method in ("remove", "remove_by_labels", "clear"):
        _extend(MetricWrapperBase, method, _removing)
    for registry in registries:
        if registry not in _registries:
            _registries.append(registry)
        for instrument in _instruments(registry):
            _bound(instrument)
            for child in _children(instrument):
                _carry_over(child)


def unit_of(family: str) -> str:
    """Return the unit of a family in the adopted registries: a value is not told it."""
    for registry in _registries:
        instrument = registry._names_to_collectors.get(family)  # noqa: SLF001  the registry has no public look-up
        if isinstance(instrument, MetricWrapperBase):
            return instrument._unit  # noqa: SLF001  nor the instrument a public unit
    return ""


# What prometheus_client does in a method without telling a value.


def _extend(owner: type[MetricWrapperBase], method: str, extension: Callable[[_Method], _Method]) -> None:
    if not hasattr(vars(owner).get(method), "__wrapped__"):
        setattr(owner, method, extension(getattr(owner, method)))


def _with_children(init: _Method) -> _Method:
    @wraps(init)
    def init_with_children(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        _bound(self)

    return init_with_children


def _bound(instrument: Any) -> None:
    """Have the instrument keep its children where there is room for so many."""
    if instrument._is_parent():  # noqa: SLF001  prometheus_client keeps its children private
        with instrument._lock:  # noqa: SLF001
            if not isinstance(instrument._metrics, Children):  # noqa: SLF001
                instrument._metrics = Children(instrument, instrument._metrics)  # noqa: SLF001


def _with_word(init: _Method) -> _Method:
    @wraps(init)
    def init_with_word(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        if not self._is_parent():
            setattr(self, WORD, Word(self))

    return init_with_word


def _saying(say: _Method) -> _Method:
    @wraps(say)
    def say_and_record(self: Any, said: Any) -> None:
        say(self, said)
        getattr(self, WORD).follow(self)

    return say_and_record


def _following(set_function: _Method) -> _Method:
    @wraps(set_function)
    def set_and_follow(self: Any, f: Callable[[], float]) -> None:
        set_function(self, f)
        if is_shared(self._value):  # else it belongs to a registry that was not adopted
            self._value.follow(f)

    return set_and_follow


def _removing(remove: _Method) -> _Method:
    """Remove the series of an instance's children from the store, those of other instances with them.

    In a gauge whose instances have values of their own, an instance removes what is its own.
    """

    @wraps(remove)
    def remove_and_record(self: Any, *labels: Any) -> None:
        before = dict(self._metrics) if self._is_parent() else {}
        remove(self, *labels)
        if not self._is_parent() or labels == ({},):
            return
        _bound(self)  # "clear" puts a new dictionary there
        gone = [child for key, child in before.items() if self._metrics.get(key) is not child]
        if remove.__name__ == "remove":
            # Another instance may have what this one has not.
            _record_removal(gone or [child_of(self, labels)])
        else:
            if not before:
                gone = [child_of(self, self._labelnames)]
            _record_clearing(gone, next(iter([*before.values(), *gone])), *labels)

    return remove_and_record


def _record_removal(gone: Iterable[Any]) -> None:
    for series in filter(None, map(child_series, gone)):
        RECORDER.remove(series)


def _record_clearing(gone: Iterable[Any], like: Any, labels: Mapping[str, Any] | None = None) -> None:
    model = child_series(like)
    if model is not None and not model.schema.per_instance:
        pairs = [label_text([name], [str(value)]) for name, value in (labels or {}).items()]
        RECORDER.clear(set(filter(None, map(child_series, gone))), model.schema, "\n".join(pairs))
    else:
        _record_removal(gone)


# Instruments that are older than we.


def _instruments(registry: CollectorRegistry) -> Iterator[MetricWrapperBase]:
    # Other collectors (process, platform, garbage collector) speak of one process and stay there.
    collectors = dict.fromkeys(registry._names_to_collectors.values())  # noqa: SLF001  there is no public listing
    return (collector for collector in collectors if isinstance(collector, MetricWrapperBase))


def _children(instrument: Any) -> list[Any]:
    if not instrument._is_parent():  # noqa: SLF001  prometheus_client keeps its children private
        return [instrument]
    with instrument._lock:  # noqa: SLF001
        return list(instrument._metrics.values())  # noqa: SLF001


def _carry_over(child: Any) -> None:
    """Give the child values of ours, and add what the old ones held.

    They are built on a twin and then put in place, so that a thread that observes meanwhile never meets a
    child that is half made.
    """
    if isinstance(child, Info | Enum):
        _carry_word_over(child)
        return
    old = values_of(child)
    if all(map(is_shared, old)):  # also where there are none: an instrument of our own records by itself
        return
    twin = copy(child)
    twin._metric_init()  # noqa: SLF001
    for name in ("_value", "_sum", "_count", "_buckets"):
        if hasattr(twin, name):
            setattr(child, name, getattr(twin, name))
    for value, amount in zip(values_of(child), (value.get() for value in old), strict=True):
        if amount and isinstance(child, Gauge):
            value.set(amount)
        elif amount:
            value.inc(amount)
    if "_child_samples" in vars(child):  # set_function was called; the function itself is out of reach
        child._value.follow(lambda: next(iter(child._child_samples())).value)  # noqa: SLF001


def _carry_word_over(child: Any) -> None:
    if not hasattr(child, WORD):
        setattr(child, WORD, Word(child))
        if child._value:  # noqa: SLF001
            getattr(child, WORD).follow(child)
