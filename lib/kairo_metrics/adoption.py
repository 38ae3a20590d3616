"""Putting our values under `prometheus_client`, also under instruments that exist already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from typing import Any, NoReturn

from prometheus_client import CollectorRegistry, values
from prometheus_client.metrics import Counter, Enum, Gauge, Histogram, Info, MetricWrapperBase, Summary

from .values import is_shared, make_value

__all__ = ["adopt", "unit_of"]

# Uses that keep no number in a value, and so would silently stay in the instance that makes them.
_NOT_SHARED_YET: tuple[tuple[type[MetricWrapperBase], str, str], ...] = (
    (Info, "_metric_init", "Info"),
    (Enum, "_metric_init", "Enum"),
    (Gauge, "set_function", "Gauge.set_function()"),
    (MetricWrapperBase, "remove", "remove()"),
    (MetricWrapperBase, "remove_by_labels", "remove_by_labels()"),
    (MetricWrapperBase, "clear", "clear()"),
)
_registries: list[CollectorRegistry] = []


def adopt(*registries: CollectorRegistry) -> None:
    """Record from now on, and carry over the instruments that the registries hold already.

    What an instrument has counted so far becomes its first delta. Calling it again is harmless.

    Raises:
        NotImplementedError: an instrument there can't be shared between instances yet; it is named.
    """
    # A function stands in for the class: which class it is depends on the instrument.
    values.ValueClass = make_value
    for owner, method, use in _NOT_SHARED_YET:
        setattr(owner, method, _refusal(use))
    for registry in registries:
        if registry not in _registries:
            _registries.append(registry)
        for instrument in _instruments(registry):
            for child in _children(instrument):
                _carry_over(child)


def unit_of(family: str) -> str:
    """Return the unit of a family in the adopted registries: a value is not told it."""
    for registry in _registries:
        instrument = registry._names_to_collectors.get(family)  # noqa: SLF001  the registry has no public look-up
        if isinstance(instrument, MetricWrapperBase):
            return instrument._unit  # noqa: SLF001  nor the instrument a public unit
    return ""


def _refusal(use: str) -> Callable[..., NoReturn]:
    def refuse(self: MetricWrapperBase, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(f"{self}: {use} is not shared between instances yet")

    return refuse


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
    old = _values(child)
    if old and all(map(is_shared, old)):
        return
    twin = copy(child)
    twin._metric_init()  # noqa: SLF001
    for name in ("_value", "_sum", "_count", "_buckets"):
        if hasattr(twin, name):
            setattr(child, name, getattr(twin, name))
    for value, amount in zip(_values(child), (value.get() for value in old), strict=True):
        if amount and isinstance(child, Gauge):
            value.set(amount)
        elif amount:
            value.inc(amount)


def _values(child: Any) -> list[Any]:
    """List the child's values, in the order in which an observation tells them."""
    if isinstance(child, Histogram):
        return [child._sum, *child._buckets]  # noqa: SLF001
    if isinstance(child, Summary):
        return [child._count, child._sum]  # noqa: SLF001
    if isinstance(child, Counter | Gauge):
        return [child._value]  # noqa: SLF001
    return []
