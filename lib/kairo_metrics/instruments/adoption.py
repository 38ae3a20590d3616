"""Recording what the instruments of a registry count, also of those that exist already."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from threading import RLock
from typing import Any
from weakref import WeakSet

from prometheus_client import CollectorRegistry, values
from prometheus_client.metrics import Enum, Gauge, Info, MetricWrapperBase

from ..model.encoding import label_text
from .catalogue import OWN, SETUP_LOCK, may_be_ours, prefix_with
from .children import Children, child_of
from .sharing import INFO_VALUE, child_series, is_shared, share
from .values import RECORDER

__all__ = ["adopt", "renew_client_locks", "require_free_names"]

_log = logging.getLogger("kairo_metrics")
_registries: WeakSet[CollectorRegistry] = WeakSet()
_left_out: WeakSet[MetricWrapperBase] = WeakSet()
_Method = Callable[..., Any]


def adopt(*registries: CollectorRegistry) -> None:
    """Record what the instruments of the registries count from now on, and what they have counted until now.

    Instruments that are registered later are included; those of other registries, and of none, are not. Nor is an
    instrument of the program with a name of ours, which is logged. A second call changes nothing, but if the prefix of
    our names was settled meanwhile, it includes those whose names that makes free.
    """
    with SETUP_LOCK:
        _leave_multiprocess_mode()
        _wrap(Info, "info", _recording_info)
        _wrap(Enum, "__init__", _sharing_when_complete)
        _wrap(Enum, "state", _recording_state)
        _wrap(Gauge, "set_function", _following)
        _wrap(MetricWrapperBase, "remove", _recording_removal)
        _wrap(MetricWrapperBase, "remove_by_labels", _recording_removal_by_labels)
        _wrap(MetricWrapperBase, "clear", _recording_clearing)
        for registry in registries:
            # Under SETUP_LOCK nobody else adopts it; the registry's own lock keeps others from registering meanwhile.
            if not isinstance(registry._collector_to_names, _Collectors):  # noqa: SLF001  there is no public way
                with registry._lock:  # noqa: SLF001
                    registry._collector_to_names = _Collectors(registry._collector_to_names)  # noqa: SLF001
                    _registries.add(registry)
        for instrument in list(_left_out):
            _left_out.discard(instrument)
            _adopt_instrument(instrument)


def require_free_names(registries: Iterable[CollectorRegistry], prefix: str) -> None:
    """Check that no instrument of these registries has a name of ours.

    Raises:
        ValueError: one has; see `refuse_taken_names`.
    """
    names = [name for registry in registries for name in list(registry._names_to_collectors)]  # noqa: SLF001
    if any(may_be_ours(name, prefix) for name in names):
        from .taken_names import refuse_taken_names

        refuse_taken_names(registries, prefix)


class _Collectors(dict[Any, list[str]]):
    """The collectors of a registry; it takes the place of prometheus_client's dictionary, and adopts each instrument.

    It is asked inside the registry's lock, so no instrument is missed, whichever thread registers it at the same time.
    Other collectors (process, platform, garbage collector) describe one process and are not shared.

    Args:
        collectors: those that the registry has already, and their names.
    """

    __slots__ = ()

    def __init__(self, collectors: Mapping[Any, list[str]]) -> None:
        super().__init__(collectors)
        for collector in collectors:
            _adopt_instrument(collector)

    def __setitem__(self, collector: Any, names: list[str]) -> None:
        super().__setitem__(collector, names)
        _adopt_instrument(collector)

    def __copy__(self) -> dict[Any, list[str]]:
        """Return a plain dictionary: a registry copies this one for each page."""
        return dict(self)


def _adopt_instrument(collector: object) -> None:
    if not isinstance(collector, MetricWrapperBase):
        return
    if _is_left_out(collector):
        _left_out.add(collector)
    elif collector._is_parent():  # noqa: SLF001
        _limit_children(collector)
    else:
        share(collector)


def _is_left_out(instrument: MetricWrapperBase) -> bool:
    """Tell whether an instrument is not sent, because it is the program's and has a name of ours; log it once."""
    is_ours = instrument in OWN._collector_to_names  # noqa: SLF001
    if is_ours or not may_be_ours(instrument._name, prefix_with(None)):  # noqa: SLF001
        return False
    from .taken_names import is_left_out, log_left_out  # few names need a closer look

    if not is_left_out(instrument):
        return False
    log_left_out(instrument)
    return True


def _limit_children(instrument: Any) -> None:
    with instrument._lock:  # noqa: SLF001  prometheus_client keeps its children private
        if not isinstance(instrument._metrics, Children):  # noqa: SLF001
            instrument._metrics = Children(instrument, instrument._metrics)  # noqa: SLF001


def _leave_multiprocess_mode() -> None:
    """Keep new values in memory, not in files of `PROMETHEUS_MULTIPROC_DIR`; those of earlier processes are in them."""
    if getattr(values.ValueClass, "_multiprocess", False):
        values.ValueClass = values.MutexValue
        # `remove` and `clear` warn that they do nothing in that mode. They do.
        warnings.filterwarnings("ignore", r"(Removal of|Clearing) labels has not been implemented", UserWarning)
        _log.warning(
            "PROMETHEUS_MULTIPROC_DIR is set; metrics of all processes are added up in Redis, so it is not needed, and "
            "you can remove it"
        )


def renew_client_locks() -> None:
    """Replace prometheus_client's locks in a forked child: a thread that exists only in the parent may hold one."""
    for registry in _registries:
        registry._lock = RLock()  # type: ignore[assignment]  # noqa: SLF001
        for instrument in _instruments(registry):
            instrument._lock = RLock()  # type: ignore[assignment]  # noqa: SLF001
            for child in _children(instrument):
                if hasattr(child, "_lock"):  # those of an info and an enum have one of their own
                    child._lock = RLock()  # noqa: SLF001


def _instruments(registry: CollectorRegistry) -> Iterator[MetricWrapperBase]:
    collectors = list(registry._collector_to_names)  # noqa: SLF001
    return (collector for collector in collectors if isinstance(collector, MetricWrapperBase))


def _children(instrument: Any) -> list[Any]:
    return list(instrument._metrics.values()) if instrument._is_parent() else [instrument]  # noqa: SLF001


def _is_adopted(instrument: Any) -> bool:
    """Return whether an instrument with labels is in an adopted registry."""
    return isinstance(getattr(instrument, "_metrics", None), Children)


# Methods of prometheus_client that call no value. Each wrapper has the parameters of the method that it wraps.


def _wrap(owner: type[MetricWrapperBase], method: str, wrapper: Callable[[_Method], _Method]) -> None:
    if not hasattr(vars(owner).get(method), "__wrapped__"):
        setattr(owner, method, wrapper(getattr(owner, method)))


def _recording_info(info: _Method) -> _Method:
    @wraps(info)
    def info_and_record(self: Any, val: Mapping[str, str]) -> None:
        info(self, val)
        if hasattr(self, INFO_VALUE):  # else its registry was not adopted
            getattr(self, INFO_VALUE).record(self)

    return info_and_record


def _sharing_when_complete(init: _Method) -> _Method:
    @wraps(init)
    def init_and_share(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        if hasattr(self, INFO_VALUE):  # its registry has adopted it, but did not know its states
            share(self)

    return init_and_share


def _recording_state(set_state: _Method) -> _Method:
    @wraps(set_state)
    def set_state_and_record(self: Any, state: str) -> None:
        set_state(self, state)
        if hasattr(self, INFO_VALUE):
            share(self)  # if it was registered before `__init__` was wrapped
            getattr(self, INFO_VALUE).record(self)

    return set_state_and_record


def _following(set_function: _Method) -> _Method:
    @wraps(set_function)
    def set_function_and_follow(self: Any, f: Callable[[], float]) -> None:
        set_function(self, f)
        if is_shared(self._value):
            self._value.follow(f)

    return set_function_and_follow


def _recording_removal(remove: _Method) -> _Method:
    """Remove the series of one label set from the store, also what other instances have in it.

    If each instance has its own value of a gauge, only this instance's is removed.
    """

    @wraps(remove)
    def remove_and_record(self: Any, *labelvalues: Any) -> None:
        child = self._metrics.get(tuple(map(str, labelvalues))) if _is_adopted(self) else None
        remove(self, *labelvalues)
        if _is_adopted(self):
            # Another instance may have the label set if this one does not.
            _record_removal([child_of(self, labelvalues) if child is None else child])

    return remove_and_record


def _recording_removal_by_labels(remove_by_labels: _Method) -> _Method:
    @wraps(remove_by_labels)
    def remove_by_labels_and_record(self: Any, labels: dict[str, str]) -> None:
        if labels and _is_adopted(self):
            _record_clearing(self, labels, lambda: remove_by_labels(self, labels))
        else:
            remove_by_labels(self, labels)

    return remove_by_labels_and_record


def _recording_clearing(clear: _Method) -> _Method:
    @wraps(clear)
    def clear_and_record(self: Any) -> None:
        if _is_adopted(self):
            _record_clearing(self, {}, lambda: clear(self))
        else:
            clear(self)

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
    before = dict(instrument._metrics)  # noqa: SLF001
    remove()
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
