"""The methods of prometheus_client that call no value: what takes their place records or notes what they do.

Each function has the method itself, then the parameters of the method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..model.encoding import label_text
from .children import Children, adopt_children, child_of
from .recorder import RECORDER
from .sharing import INFO_VALUE, child_series, is_shared, share

__all__ = ["RECORDED"]

Method = Callable[..., None]


def _info(info: Method, self: Any, val: Mapping[str, str]) -> None:
    info(self, val)
    if hasattr(self, INFO_VALUE):  # else its registry was not adopted
        getattr(self, INFO_VALUE).record(self)


def _init_enum(init: Method, self: Any, *args: Any, **kwargs: Any) -> None:
    init(self, *args, **kwargs)
    if hasattr(self, INFO_VALUE):  # its registry has adopted it, but did not know its states
        share(self)


def _state(set_state: Method, self: Any, state: str) -> None:
    set_state(self, state)
    if hasattr(self, INFO_VALUE):
        share(self)  # if it was registered before `__init__` was wrapped
        getattr(self, INFO_VALUE).record(self)


def _set_function(set_function: Method, self: Any, f: Callable[[], float]) -> None:
    set_function(self, f)
    if is_shared(self._value):
        self._value.follow(f)


def _remove(remove: Method, self: Any, *labelvalues: Any) -> None:
    """Remove the series of one label set from the store, also what other instances have in it.

    If each instance has its own value of a gauge, only this instance's is removed.
    """
    child = self._metrics.get(tuple(map(str, labelvalues))) if _is_adopted(self) else None
    remove(self, *labelvalues)
    if _is_adopted(self):
        # Another instance may have the label set if this one does not.
        _record_removal([child_of(self, labelvalues) if child is None else child])


def _remove_by_labels(remove_by_labels: Method, self: Any, labels: dict[str, str]) -> None:
    if labels and _is_adopted(self):
        _record_clearing(self, labels, lambda: remove_by_labels(self, labels))
    else:
        remove_by_labels(self, labels)


def _clear(clear: Method, self: Any) -> None:
    if _is_adopted(self):
        _record_clearing(self, {}, lambda: clear(self))
    else:
        clear(self)


def _set_target_info(set_target_info: Method, self: Any, labels: dict[str, str] | None) -> None:
    set_target_info(self, labels)
    note = getattr(self._collector_to_names, "note_target_info", None)
    if note is not None:  # else the registry is not adopted
        note(labels)


RECORDED: dict[str, Method] = {
    "set_target_info": _set_target_info,
    "info": _info,
    "__init__": _init_enum,
    "state": _state,
    "set_function": _set_function,
    "remove": _remove,
    "remove_by_labels": _remove_by_labels,
    "clear": _clear,
}


def _is_adopted(instrument: Any) -> bool:
    """Return whether an instrument with labels is in an adopted registry."""
    return isinstance(getattr(instrument, "_metrics", None), Children)


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
    adopt_children(instrument)  # `clear` sets a new dictionary
    removed = [child for key, child in before.items() if instrument._metrics.get(key) is not child]  # noqa: SLF001
    if not before:
        removed = [child_of(instrument, instrument._labelnames)]  # noqa: SLF001  from it the family is known
    series = child_series(next(iter([*before.values(), *removed])))
    if series is not None and not series.schema.per_instance:
        pairs = [label_text([name], [str(value)]) for name, value in labels.items()]
        RECORDER.clear(set(filter(None, map(child_series, removed))), series.schema, "\n".join(pairs))
    else:
        _record_removal(removed)
