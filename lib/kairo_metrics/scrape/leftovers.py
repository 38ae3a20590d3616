"""What the store can do without, as a scrape finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..model.delivery_metrics import OVERFLOWED
from ..model.snapshot import IndexEntry, Snapshot
from .decode import SeriesDecoder

__all__ = ["find_leftovers"]

# Series that one scrape has deleted. The next scrape finds the rest.
_MOST_PER_SCRAPE = 1_000


def find_leftovers(
    snapshot: Snapshot, decoders: Mapping[IndexEntry, SeriesDecoder], series_ttl_s: int
) -> dict[IndexEntry, Sequence[bytes]]:
    """Return by index entry the label texts of series that the store can do without.

    These are series that no instance touched for their life, and values of instances whose lease has ended. An entry
    without any text stands for a family that has no series and was not announced for so long: it can leave the index.

    Args:
        snapshot: the families index.
        decoders: what was read.
        series_ttl_s: the life of a series, in seconds.
    """
    found: dict[IndexEntry, Sequence[bytes]] = {}
    room = _MOST_PER_SCRAPE
    for entry, decoder in decoders.items():
        if room and (texts := (*decoder.stale, *decoder.ended)[:room]):
            found[entry] = texts
            room -= len(texts)
    oldest_ms = snapshot.now_ms - series_ttl_s * 1000
    for entry in snapshot.entries:
        is_empty = entry not in decoders or not decoders[entry].series
        # The store itself counts into OVERFLOWED, so no instance would announce it again.
        if is_empty and entry.announced_ms < oldest_ms and entry.schema != OVERFLOWED:
            found.setdefault(entry, ())
    return found
