"""Putting our values under a child of an instrument, in place of prometheus_client's own."""

from __future__ import annotations

from typing import Any

from prometheus_client.metrics import Counter, Enum, Gauge, Histogram, Info, MetricWrapperBase, Summary
from prometheus_client.utils import floatToGoString
from prometheus_client.values import MutexValue

from ..model.fork_locks import SHARING
from ..model.schema import INSTANCE_LABEL, is_per_instance
from .pending_series import PendingSeries, new_series, schema_of
from .values.counter import CounterValue
from .values.observation import histogram_values, summary_values
from .values.replaced_value import take_place
from .values.value import LocalTotal

__all__ = ["INFO_VALUE", "child_series", "is_shared", "share", "values_of"]

# The attribute of an info or an enum that has our value; prometheus_client gives them none.
INFO_VALUE = "_kairo_info_value"


def share(child: Any) -> None:
    """Record what a child counts from now on; what it has counted becomes its first delta.

    Other threads may count in it meanwhile: nothing of that is lost or counted twice. A second call changes nothing.

    Args:
        child: a child, or an instrument without labels.
    """
    with SHARING:
        if isinstance(child, Info | Enum):
            _add_info_value(child)
        elif hasattr(getattr(child, "_value", None), "share"):  # a native histogram's; it is not imported here
            child._value.share(_series(child, "native", bounds=child._value.bounds))  # noqa: SLF001
        elif not all(map(is_shared, values_of(child))):
            _replace_values(child)


def is_shared(value: object) -> bool:
    """Return whether the value is one of ours."""
    return isinstance(value, LocalTotal)


def values_of(child: Any) -> list[Any]:
    """Return the child's values, in the order in which prometheus_client adds an observation to them."""
    if isinstance(child, Histogram):
        return [child._sum, *child._buckets]  # noqa: SLF001  prometheus_client keeps them private
    if isinstance(child, Summary):
        return [child._count, child._sum]  # noqa: SLF001
    if isinstance(child, Counter | Gauge):
        return [child._value]  # noqa: SLF001
    return []


def child_series(child: MetricWrapperBase) -> PendingSeries | None:
    """Return the child's series; None if it has none, because its registry was not adopted."""
    values = [getattr(child, INFO_VALUE, None), getattr(child, "_value", None), *values_of(child)]
    return next((value.series for value in values if hasattr(value, "series")), None)


def _replace_values(child: Any) -> None:
    # The value that an observation comes to last is replaced first: whoever finds our first one also finds our last.
    old = values_of(child)
    if isinstance(child, Histogram):
        bounds = tuple(map(floatToGoString, child._upper_bounds))  # noqa: SLF001
        observed, buckets = histogram_values(_series(child, "histogram", bounds=bounds))
        _take_places(old[1:], buckets)
        child._buckets = buckets  # noqa: SLF001
        _take_places(old[:1], [observed])
        child._sum = observed  # noqa: SLF001
    elif isinstance(child, Summary):
        count, observed = summary_values(_series(child, "summary"))
        _take_places(old[1:], [observed])
        child._sum = observed  # noqa: SLF001
        _take_places(old[:1], [count])
        child._count = count  # noqa: SLF001
    elif isinstance(child, Counter):
        counted = CounterValue(_series(child, "counter"))
        _take_places(old, [counted])
        child._value = counted  # noqa: SLF001
    else:
        from .values.gauge import gauge_value  # imported late, as that of infos: each import is part of a cold start

        held = gauge_value(_gauge_series(child))
        _take_places(old, [held])
        child._value = held  # noqa: SLF001
        if "_child_samples" in vars(child):  # set_function was called; the function itself is out of reach
            held.follow(lambda: next(iter(child._child_samples())).value)  # noqa: SLF001


def _take_places(old: list[Any], new: list[Any]) -> None:
    for value, ours in zip(old, new, strict=True):
        if type(value) is MutexValue:
            take_place(value, ours)
        else:
            from .multiprocess_value import amount_of_this_process  # only with PROMETHEUS_MULTIPROC_DIR

            ours.carry_over(amount_of_this_process(value))


def _gauge_series(child: Any) -> PendingSeries:
    labelnames, mode = child._labelnames, child._multiprocess_mode  # noqa: SLF001
    if is_per_instance(mode):
        labelnames = *labelnames, INSTANCE_LABEL
    return _series(child, "gauge", labelnames=labelnames, mode=mode)


def _series(child: Any, typ: str, **parts: Any) -> PendingSeries:
    """Return a new series with the child's labels, of the family of its instrument."""
    labelnames = parts.pop("labelnames", child._labelnames)  # noqa: SLF001
    help_text, unit = child._documentation, child._unit  # noqa: SLF001
    schema = schema_of(child._name, typ, labelnames, help_text, unit=unit, **parts)  # noqa: SLF001
    return new_series(schema, child._labelnames, child._labelvalues)  # noqa: SLF001


def _add_info_value(child: Any) -> None:
    if getattr(child, INFO_VALUE, None) is not None:
        return
    if not isinstance(child, Enum):
        series = _series(child, "info")
    elif hasattr(child, "_states"):
        series = _series(child, "stateset", states=tuple(child._states))  # noqa: SLF001
    else:  # it is registered before it is complete, and shared when it is
        setattr(child, INFO_VALUE, None)
        return
    from .values.info import InfoValue

    # Set first: whoever sets the child's value from here on records it.
    setattr(child, INFO_VALUE, InfoValue(series, child))
    if child._value:  # noqa: SLF001
        getattr(child, INFO_VALUE).record(child)
