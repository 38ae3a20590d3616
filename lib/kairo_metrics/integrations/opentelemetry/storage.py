"""What OpenTelemetry's SDK keeps for a reader until it collects, and how a forked child begins without it.

The SDK has no public way there, and no hook for forks: a child would find what its parent has counted, and perhaps a
lock that a thread of the parent holds for ever.
"""

# ruff: noqa: SLF001

from __future__ import annotations

from threading import Lock, RLock
from typing import Any

__all__ = ["begin_in_child"]


def begin_in_child(reader: Any) -> None:
    """Forget what the instruments have counted since the last collection: the parent has it as well.

    Args:
        reader: of a process that was just forked, so that it has one thread.
    """
    if reader._collect is None:  # it has no provider
        return
    consumer = reader._collect.__self__
    consumer._lock = Lock()
    for storage in consumer._reader_storages.values():
        storage._lock = RLock()
        for matches in storage._instrument_view_instrument_matches.values():
            for match in matches:
                match._lock = Lock()
                for aggregation in match._attributes_aggregation.values():
                    aggregation._lock = Lock()
    # It calls no callback. What another thread was about to change while the parent forked begins anew with it.
    consumer._reader_storages[reader].collect()
