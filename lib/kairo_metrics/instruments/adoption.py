"""Putting our values under `prometheus_client`, also under instruments that exist already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from functools import wraps
from threading import RLock
from typing import Any

from prometheus_client import CollectorRegistry, values
from prometheus_client.metrics import Enum, Gauge, Info, MetricWrapperBase, _build_full_name

from ..model.encoding import label_text
from .catalogue import SETUP_LOCK
from .children import INFO_VALUE, Children, child_of, child_series, values_of
from .taken_names import is_left_out, log_left_out
from .values import RECORDER, is_shared, make_value, recorded_if
from .values.info import InfoValue

__all__ = ["adopt", "renew_client_locks", "unit_of"]

_registries: list[CollectorRegistry] = []
_Method = Callable[..., Any]


def adopt(*registries: CollectorRegistry) -> None:
    """Record what instruments count from now on, and take over the instruments that the registries have already.

    What such an instrument has counted becomes its first delta. A second call changes nothing. An instrument of the
    program with a name of ours is left as it is, which is logged.
    """
    with SETUP_LOCK:
        # A function takes the place of the class: the class depends on the instrument.
        values.ValueClass = make_value
        _wrap(MetricWrapperBase, "__init__", _recorded_unless_left_out)
        _wrap(Info, "__init__", _with_info_value)
        _wrap(Enum, "__init__", _with_info_value)
        _wrap(Info, "info", _recording_info)
        _wrap(Enum, "state", _recording_state)
        _wrap(Gauge, "set_function", _following)
        _wrap(MetricWrapperBase, "remove", _recording_removal)
        _wrap(MetricWrapperBase, "remove_by_labels", _recording_removal_by_labels)
        _wrap(MetricWrapperBase, "clear", _recording_clearing)
        for registry in registries:
            if registry not in _registries:
                _registries.append(registry)
            for instrument in _instruments(registry):
                if _is_left_out(instrument):
                    log_left_out(instrument)
                    continue
                _limit_children(instrument)
                for child in _children(instrument):
                    _carry_over(child)


def renew_client_locks() -> None:
    """Replace prometheus_client's locks in a forked child: a thread that exists only in the parent may hold one."""
    for registry in _registries:
        registry._lock = RLock()  # type: ignore[assignment]  # noqa: SLF001  prometheus_client has no public way
        for instrument in _instruments(registry):
            instrument._lock = RLock()  # type: ignore[assignment]  # noqa: SLF001
            for child in _children(instrument):
                if hasattr(child, "_lock"):  # those of an info and an enum have one of their own
                    child._lock = RLock()  # noqa: SLF001


def unit_of(family: str) -> str:
    """Return the unit of a family in the adopted registries; prometheus_client does not pass it to a value."""
    for registry in _registries:
        instrument = registry._names_to_collectors.get(family)  # noqa: SLF001  the registry has no public look-up
        if isinstance(instrument, MetricWrapperBase):
            return instrument._unit  # noqa: SLF001  nor the instrument a public unit
    return ""


# Methods of prometheus_client that call no value. Each wrapper has the parameters of the method that it wraps.


def _wrap(owner: type[MetricWrapperBase], method: str, wrapper: Callable[[_Method], _Method]) -> None:
    if not hasattr(vars(owner).get(method), "__wrapped__"):
        setattr(owner, method, wrapper(getattr(owner, method)))


def _recorded_unless_left_out(init: _Method) -> _Method:
    @wraps(init)
    def init_and_limit_children(  # noqa: PLR0913, PLR0917  the parameters are prometheus_client's
        self: Any,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        left_out = is_left_out(type(self), _build_full_name(self._type, name, namespace, subsystem, unit))
        with recorded_if(not left_out):
            init(self, name, documentation, labelnames, namespace, subsystem, unit, *args, **kwargs)
        if not left_out:
            _limit_children(self)
        elif any(self in registry._collector_to_names for registry in _registries):  # noqa: SLF001
            log_left_out(self)

    return init_and_limit_children


def _is_left_out(instrument: MetricWrapperBase) -> bool:
    return is_left_out(type(instrument), instrument._name)  # noqa: SLF001  prometheus_client keeps it private


def _limit_children(instrument: Any) -> None:
    if instrument._is_parent():  # noqa: SLF001  prometheus_client keeps its children private
        with instrument._lock:  # noqa: SLF001
            if not isinstance(instrument._metrics, Children):  # noqa: SLF001
                instrument._metrics = Children(instrument, instrument._metrics)  # noqa: SLF001


def _with_info_value(init: _Method) -> _Method:
    @wraps(init)
    def init_with_info_value(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        if not self._is_parent() and not _is_left_out(self):
            setattr(self, INFO_VALUE, InfoValue(self))

    return init_with_info_value


def _recording_info(info: _Method) -> _Method:
    @wraps(info)
    def info_and_record(self: Any, val: Mapping[str, str]) -> None:
        info(self, val)
        _record_info(self)

    return info_and_record


def _recording_state(set_state: _Method) -> _Method:
    @wraps(set_state)
    def set_state_and_record(self: Any, state: str) -> None:
        set_state(self, state)
        _record_info(self)

    return set_state_and_record


def _record_info(child: Any) -> None:
    if value := getattr(child, INFO_VALUE, None):  # one that is left out has none
        value.record(child)


def _following(set_function: _Method) -> _Method:
    @wraps(set_function)
    def set_function_and_follow(self: Any, f: Callable[[], float]) -> None:
        set_function(self, f)
        if is_shared(self._value):  # else its registry was not adopted
            self._value.follow(f)

    return set_function_and_follow


def _recording_removal(remove: _Method) -> _Method:
    """Remove the series of one label set from the store, also what other instances have in it.

    If each instance has its own value of a gauge, only this instance's is removed.
    """

    @wraps(remove)
    def remove_and_record(self: Any, *labelvalues: Any) -> None:
        child = self._metrics.get(tuple(map(str, labelvalues))) if self._is_parent() else None
        remove(self, *labelvalues)
        if not _is_left_out(self):
            # Another instance may have the label set if this one does not.
            _record_removal([child_of(self, labelvalues) if child is None else child])

    return remove_and_record


def _recording_removal_by_labels(remove_by_labels: _Method) -> _Method:
    @wraps(remove_by_labels)
    def remove_by_labels_and_record(self: Any, labels: dict[str, str]) -> None:
        if labels:
            _record_clearing(self, labels, lambda: remove_by_labels(self, labels))
        else:
            remove_by_labels(self, labels)  # which changes nothing

    return remove_by_labels_and_record


def _recording_clearing(clear: _Method) -> _Method:
    @wraps(clear)
    def clear_and_record(self: Any) -> None:
        _record_clearing(self, {}, lambda: clear(self))

    return clear_and_record


def _record_removal(children: Iterable[Any]) -> None:
    for series in filter(None, map(child_series, children)):
        RECORDER.remove(series)


def _record_clearing(instrument: Any, labels: Mapping[str, str], remove: Callable[[], None]) -> None:
    """Remove some children of an instrument, and from the store all series that have these labels.

    If each instance has its own value of a gauge, only those of this instance are removed.

    Args:
        instrument: the parent of the children.
        labels: names and values; with none, all series of the family are removed.
        remove: removes the children.
    """
    before = dict(instrument._metrics) if instrument._is_parent() else {}  # noqa: SLF001
    remove()
    if not instrument._is_parent() or _is_left_out(instrument):  # noqa: SLF001
        return
    _limit_children(instrument)  # `clear` sets a new dictionary
    removed = [child for key, child in before.items() if instrument._metrics.get(key) is not child]  # noqa: SLF001
    if not before:
        removed = [child_of(instrument, instrument._labelnames)]  # noqa: SLF001  from it the family is known
    series = child_series(next(iter([*before.values(), *removed])))
    if series is not None and not series.schema.per_instance:
        pairs = [label_text([name], [str(value)]) for name, value in labels.items()]
        RECORDER.clear(set(filter(None, map(child_series, removed))), series.schema, "\n".join(pairs))
    else:
        _record_removal(removed)


# Instruments that were made before.


def _instruments(registry: CollectorRegistry) -> Iterator[MetricWrapperBase]:
    # Other collectors (process, platform, garbage collector) describe one process and are not shared.
    collectors = dict.fromkeys(registry._names_to_collectors.values())  # noqa: SLF001  there is no public listing
    return (collector for collector in collectors if isinstance(collector, MetricWrapperBase))


def _children(instrument: Any) -> list[Any]:
    if not instrument._is_parent():  # noqa: SLF001  prometheus_client keeps its children private
        return [instrument]
    with instrument._lock:  # noqa: SLF001
        return list(instrument._metrics.values())  # noqa: SLF001


def _carry_over(child: Any) -> None:
    """Replace the child's values by ours, and add what the old ones had.

    Ours are built in a copy of the child and then moved, so that a thread that observes at the same time never finds a
    child with some of its values.
    """
    if isinstance(child, Info | Enum):
        _add_info_value(child)
        return
    old = values_of(child)
    if all(map(is_shared, old)):  # also if there are none: a native histogram has recorded from the beginning
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


def _add_info_value(child: Any) -> None:
    if not hasattr(child, INFO_VALUE):
        setattr(child, INFO_VALUE, InfoValue(child))
        if child._value:  # noqa: SLF001
            getattr(child, INFO_VALUE).record(child)
