"""Giving another name, other labels or other buckets to an instrument that may have counted already."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client import CollectorRegistry

from .children import adopt_children
from .recorder import RECORDER
from .shape import Shape, shape
from .sharing import child_series, share

if TYPE_CHECKING:
    from .declaration import Declaration, Group

__all__ = ["reshape_group"]

G = TypeVar("G", bound="Group")


def reshape_group(
    group: G,
    declarations: tuple[Declaration, ...],
    registry: CollectorRegistry,
    build: Callable[[Declaration], Any],
) -> G:
    """Return a group with each of its instruments in the present shape.

    Args:
        group: as it was built.
        declarations: those of its instruments in the present shape.
        registry: has the instruments.
        build: builds an instrument in the present shape.
    """
    members = tuple(
        _reshaped(declaration, instrument, group.shape, registry, build)
        for declaration, instrument in zip(declarations, group.members, strict=True)
    )
    return type(group)(declarations, members, shape())


def _reshaped(
    declaration: Declaration,
    instrument: Any,
    before: Shape,
    registry: CollectorRegistry,
    build: Callable[[Declaration], Any],
) -> Any:
    """Return the instrument in the present shape. What it has counted is sent under the new name."""
    now = shape()
    old_name, new_name = declaration.named(before.prefix or ""), declaration.named(now.prefix or "")
    if old_name != new_name:
        _rename(instrument, before.prefix or "", now.prefix or "", registry)
    if declaration.shaped(before) == declaration.shaped(now):
        return instrument
    # The store merges series of one name whose buckets differ; what it has not got yet must be recorded to be sent.
    record = adopt_children if instrument._is_parent() else share  # noqa: SLF001
    record(instrument)
    registry.unregister(instrument)
    return build(declaration)


def _rename(instrument: Any, old_prefix: str, prefix: str, registry: CollectorRegistry) -> None:
    registry.unregister(instrument)
    # So that no child is made meanwhile; prometheus_client has no public way to any of these.
    with instrument._lock if instrument._is_parent() else nullcontext(), RECORDER.lock:  # noqa: SLF001
        for member in (instrument, *vars(instrument).get("_metrics", {}).values()):
            # From the first a child gets its name; prometheus_client before 0.24 has the second alone.
            for name in {"_original_name", "_name"} & vars(member).keys():
                setattr(member, name, prefix + getattr(member, name).removeprefix(old_prefix))
            series = None if member._is_parent() else child_series(member)  # noqa: SLF001
            if series is not None:
                series.schema = series.schema.changed(name=prefix + series.schema.name.removeprefix(old_prefix))
    registry.register(instrument)
