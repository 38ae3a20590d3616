"""What the store needs no longer, as a scrape finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice

from ..model.delivery_metrics import OVERFLOWED
from ..model.snapshot import IndexEntry, Snapshot
from .decode import SeriesDecoder

__all__ = ["find_expired"]

# Series and index entries that one scrape has deleted. The next scrape finds the rest.
_MOST_PER_SCRAPE = 1_000


def find_expired(
    snapshot: Snapshot, decoders: Mapping[IndexEntry, SeriesDecoder], series_ttl_s: int
) -> dict[IndexEntry, Sequence[bytes]]:
    """Return the label texts of series that the store needs no longer, by index entry.

    These are series that no instance has written for `series_ttl_s`, and values of instances whose lease has ended. An
    entry without label texts is a family that has no series and was not announced for as long: it can leave the index.

    Args:
        snapshot: the families index.
        decoders: what was read.
        series_ttl_s: the life of a series that no instance writes, in seconds.
    """
    found: dict[IndexEntry, Sequence[bytes]] = {}
    room = _MOST_PER_SCRAPE
    for entry, decoder in decoders.items():
        if texts := tuple(islice(chain(decoder.stale, decoder.ended), room)):
            found[entry] = texts
            room -= len(texts)
    oldest_ms = snapshot.now_ms - series_ttl_s * 1000
    for entry in snapshot.entries:
        is_empty = entry not in decoders or not decoders[entry].series
        # The store itself counts into OVERFLOWED, so no instance would announce it again.
        is_unused = is_empty and entry.announced_ms < oldest_ms and entry.schema != OVERFLOWED
        if room and is_unused and entry not in found:
            found[entry] = ()
            room -= 1
    return found
