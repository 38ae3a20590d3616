"""Renaming an instrument that may have counted already."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from prometheus_client import CollectorRegistry

from .sharing import child_series
from .values import RECORDER

__all__ = ["put_before"]


def put_before(instrument: Any, prefix: str, registry: CollectorRegistry) -> None:
    """Put a prefix before the name of an instrument; what it has counted is sent under the new name.

    Args:
        instrument: with or without labels.
        prefix: goes before its name.
        registry: has the instrument.
    """
    registry.unregister(instrument)
    # So that no child is made meanwhile; prometheus_client has no public way to any of these.
    with instrument._lock if instrument._is_parent() else nullcontext(), RECORDER.lock:  # noqa: SLF001
        for member in (instrument, *vars(instrument).get("_metrics", {}).values()):
            # From the first a child gets its name; prometheus_client before 0.24 has the second alone.
            for name in {"_original_name", "_name"} & vars(member).keys():
                setattr(member, name, prefix + getattr(member, name))
            series = None if member._is_parent() else child_series(member)  # noqa: SLF001
            if series is not None:
                series.schema = series.schema.changed(name=prefix + series.schema.name)
    registry.register(instrument)
