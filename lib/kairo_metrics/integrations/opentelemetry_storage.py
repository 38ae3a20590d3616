"""What OpenTelemetry's SDK keeps for a reader until it collects: a fork stops it, and a child begins without it.

The SDK has no public way there, and no hook for forks: a child would find what its parent has counted, and perhaps a
lock that is never released.
"""

# ruff: noqa: SLF001

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Any

from opentelemetry.sdk.metrics.export import MetricReader

__all__ = ["drop_uncollected", "held_locks"]

# Another thread holds a lock for microseconds. One that this thread holds itself, because a signal handler or a
# finalizer has interrupted it inside the SDK, it never gets.
_PATIENCE_S = 1.0


def held_locks(reader: MetricReader) -> Iterator[Lock]:
    """Acquire and yield each lock that counting or collecting takes; the caller releases them."""
    # In this order nothing is added to what is walked through: its lock is held by then.
    for lock in _locks(reader):
        if lock.acquire(timeout=_PATIENCE_S):
            yield lock


def _locks(reader: Any) -> Iterator[Lock]:
    if reader._collect is None:  # it has no provider
        return
    yield reader._collect.__self__._lock
    storage = _storage(reader)
    yield storage._lock
    for matches in storage._instrument_view_instrument_matches.values():
        for match in matches:
            yield match._lock
            for aggregation in match._attributes_aggregation.values():
                yield aggregation._lock


def drop_uncollected(reader: Any) -> None:
    """Forget what the instruments have counted since the last collection, without calling a callback."""
    if reader._collect is not None:
        _storage(reader).collect()


def _storage(reader: Any) -> Any:
    return reader._collect.__self__._reader_storages[reader]
