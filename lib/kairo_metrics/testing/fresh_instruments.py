"""The instruments of a program at the begin of a test: nothing is counted, and gauges are as the import has set them.

An instrument keeps its identity, as modules hold it. For the test it gets new values; the old ones come back after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics import Enum, Gauge, Info, MetricWrapperBase

from ..delivery import process_pipeline
from ..instruments import adoption
from ..instruments.children import Children
from ..instruments.recorder import RECORDER
from ..instruments.sharing import INFO_VALUE, share
from .fresh_registries import Imported

__all__ = ["Members", "fresh_instruments"]

# Each instrument and child, and its attributes before the test.
Members = dict[Any, dict[str, Any]]


@contextmanager
def fresh_instruments(imported: Imported, outermost: Members | None) -> Iterator[Members]:
    """Give the instruments new values for a block.

    Args:
        imported: the instruments of modules that are imported in the block; they stay registered.
        outermost: for a block inside others, what the outermost one gave.
    """
    before: Members = {}
    for instrument in _instruments({REGISTRY, *process_pipeline._registries}):
        before |= {member: dict(vars(member)) for member in _members(instrument)}
        _begin(instrument, before if outermost is None else outermost)
    try:
        yield before
    finally:
        for instrument in _instruments({REGISTRY, *process_pipeline._registries, *adoption._registries}):
            for member in _members(instrument):
                if member not in before and not member._is_parent():
                    _restart(member, {})
                    share(member)  # the program may go on with what it has made in the block
            if instrument not in before:
                _leave(instrument, stays=instrument in imported)
        # Nothing of the block is pending, and every series begins anew.
        RECORDER.forget()
        for member, attributes in before.items():
            vars(member).clear()
            vars(member).update(attributes)


def _begin(instrument: Any, known: Members) -> None:
    if not instrument._is_parent():
        _restart(instrument, known.get(instrument, {}))
        return
    kept = {labels: child for labels, child in instrument._metrics.items() if child in known}
    for child in kept.values():
        _restart(child, known[child])
    instrument._metrics = kept


def _leave(instrument: Any, *, stays: bool) -> None:
    """Let an instrument that was made in the block count nothing more there; one that stays is adopted anew."""
    if instrument._is_parent():
        instrument._metrics = {} if stays else Children(instrument)
    elif stays:
        _restart(instrument, {})


def _restart(member: Any, attributes: dict[str, Any]) -> None:
    """Begin at zero, or with the value that these attributes have, if it is a gauge, an info or an enum."""
    member._metric_init()
    vars(member).pop(INFO_VALUE, None)
    if "_value" not in attributes or "_child_samples" in vars(member):
        return
    if isinstance(member, Info | Enum):
        member._value = attributes["_value"]
    elif isinstance(member, Gauge):
        member._value.set(attributes["_value"].get())


def _instruments(registries: Iterable[CollectorRegistry]) -> list[Any]:
    found = {collector: None for registry in registries for collector in list(registry._collector_to_names)}
    return [collector for collector in found if isinstance(collector, MetricWrapperBase)]


def _members(instrument: Any) -> list[Any]:
    return [instrument, *instrument._metrics.values()] if instrument._is_parent() else [instrument]
