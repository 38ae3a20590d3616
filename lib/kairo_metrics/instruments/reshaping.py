"""Giving another name, other labels or other buckets to an instrument that may have counted already."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from .children import adopt_children
from .shape import Shape, shape
from .sharing import child_series, share
from .values import RECORDER

if TYPE_CHECKING:
    from .declarations import Declaration

__all__ = ["reshape"]


def reshape(
    declaration: Declaration,
    instrument: Any,
    before: Shape,
    registry: CollectorRegistry,
    build: Callable[[Declaration], Any],
) -> Any:
    """Return the instrument in the present shape. What it has counted is sent under the new name.

    Args:
        declaration: that of the instrument.
        instrument: with or without labels.
        before: the shape in which it was built.
        registry: has the instrument.
        build: builds an instrument in the present shape.
    """
    prefix, now = before.prefix or "", shape()
    if declaration.named(prefix) != declaration.named(now.prefix or ""):
        # Only a process without a prefix gets one.
        _put_before(instrument, (now.prefix or "").removeprefix(prefix), registry)
    if declaration.shaped(before) == declaration.shaped(now):
        return instrument
    # The store merges series of one name whose buckets differ; what it has not got yet must be recorded to be sent.
    record = adopt_children if instrument._is_parent() else share  # noqa: SLF001
    record(instrument)
    registry.unregister(instrument)
    return build(declaration)


def _put_before(instrument: Any, prefix: str, registry: CollectorRegistry) -> None:
    registry.unregister(instrument)
    # So that no child is made meanwhile; prometheus_client has no public way to any of these.
    with instrument._lock if instrument._is_parent() else nullcontext(), RECORDER.lock:  # noqa: SLF001
        for member in (instrument, *vars(instrument).get("_metrics", {}).values()):
            member._original_name = prefix + member._original_name  # noqa: SLF001  from it a child gets its name
            member._name = prefix + member._name  # noqa: SLF001
            series = None if member._is_parent() else child_series(member)  # noqa: SLF001
            if series is not None:
                series.schema = series.schema.changed(name=prefix + series.schema.name)
    registry.register(instrument)
