"""One scrape: select, read and decode, merge, resolve, assemble the page."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..exposition.family import Extras
from ..exposition.page import Page
from ..model.batch import State
from ..model.encoding import is_classic, is_classic_label
from ..model.recovery import Recovery
from ..model.schema import Schema
from ..model.server_run import ServerRun
from ..model.snapshot import IndexEntry, Snapshot
from .assemble import assemble
from .clashes import Clash
from .decode import SeriesDecoder
from .expired_series import find_expired
from .merge import Decoded, merge_families
from .resolve import resolve_family
from .selection import Selection, select

if TYPE_CHECKING:
    from ..store.store_interface import Store

__all__ = ["COUNTING", "Limits", "Scrape", "collect"]

# The types that count and add up; the others are set.
COUNTING = frozenset({"counter", "histogram", "native", "summary"})
_NUMBERS_ALONE = Extras()
_NOTHING_SHOWN: Mapping[Schema, Iterable[bytes]] = MappingProxyType({})
_BETWEEN_PAUSES_S = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """How old series may be to be shown.

    Args:
        series_ttl_s: seconds after which a series is left out that no instance has written.
        instance_lease_s: seconds after which an instance counts as ended that has not renewed its gauges.
    """

    series_ttl_s: int
    instance_lease_s: int = 300


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one scrape found.

    Args:
        page: the families.
        states: the state of each shard: its name, and how many batches it has applied.
        recoveries: the recovery of each shard since it went back in time last; None if it never did.
        runs: the run of the server that each shard was read from.
        expired: what the store needs no longer; see `find_expired`.
        clashes: families that some page can't show beside another one.
    """

    page: Page
    states: tuple[State, ...] = ()
    recoveries: tuple[Recovery | None, ...] = ()
    runs: tuple[ServerRun, ...] = ()
    expired: Mapping[IndexEntry, Sequence[bytes]] = field(default_factory=dict)
    clashes: tuple[Clash, ...] = ()

    @property
    def is_recovering(self) -> bool:
        """Whether some counters are too low until instances have sent again what the store lost."""
        return any(recovery is not None and recovery.is_open(self.page.at_ms) for recovery in self.recoveries)


async def collect(
    store: Store,
    limits: Limits,
    names: frozenset[str] = frozenset(),
    extras: Extras = _NUMBERS_ALONE,
    shown: Mapping[Schema, Iterable[bytes]] = _NOTHING_SHOWN,
) -> Scrape:
    """Read the store and return what it holds as one page.

    Each family of one type is served under one schema. Series with other histogram bounds are put under the bounds of
    that schema. Series with other label names are kept as they are. A family that clashes with another one on a page of
    this format is left out and told.

    Args:
        store: what to read.
        limits: how old series and instances may be.
        names: family or sample names to read, as in `name[]`; all when empty.
        extras: what to read beyond the numbers.
        shown: label texts of the families on an earlier page. Those that are still there come first, in this order.

    Raises:
        StoreError: the store could not be read.
    """
    snapshot = await store.snapshot()
    selection = select(snapshot, names, exemplars=extras.exemplars)
    decoded = await _read_and_decode(store, snapshot, selection, limits, extras, shown=shown)
    expired = find_expired(snapshot, decoded.decoders, limits.series_ttl_s)
    merged = merge_families(selection, decoded, snapshot if extras.began else None)
    escapes = not all(map(_has_classic_names, selection.served.values()))
    resolved = [resolve_family(family, dated=family.mixed or escapes, with_created=extras.created) for family in merged]
    assembled = assemble(snapshot, selection, resolved, extras)
    return Scrape(
        assembled.page, snapshot.states, snapshot.recoveries, snapshot.runs, expired, tuple(assembled.clashes)
    )


def _has_classic_names(schema: Schema) -> bool:
    return is_classic(schema.name) and all(map(is_classic_label, schema.labelnames))


async def _read_and_decode(  # noqa: PLR0913  so much decides what is read
    store: Store,
    snapshot: Snapshot,
    selection: Selection,
    limits: Limits,
    extras: Extras,
    *,
    shown: Mapping[Schema, Iterable[bytes]],
) -> Decoded:
    """Read all series. Each chunk is decoded while Redis works on the next one."""
    entries = selection.all_entries
    # What several entries hold is merged, and what is no counter may be shown under other texts than it is stored.
    alone = {entries[0] for entries in selection.entries.values() if len(entries) == 1}
    decoders = {
        entry: SeriesDecoder(
            entry.schema,
            snapshot.clock_ms(entry.shard) - limits.series_ttl_s * 1000,
            snapshot.clock_ms(entry.shard) - limits.instance_lease_s * 1000,
            keeps_created=(extras.created or extras.began) and entry.schema.type in COUNTING,
            shown=shown.get(entry.schema, ()) if entry in alone and entry.schema.type in COUNTING else (),
        )
        for entry in entries
    }
    foreign: defaultdict[IndexEntry, int] = defaultdict(int)
    pause_at_s = time.perf_counter() + _BETWEEN_PAUSES_S
    async with aclosing(store.scan(entries)) as chunks:
        async for entry, items in chunks:
            if items is None:
                foreign[entry] += 1
            else:
                decoders[entry].add_chunk(items)
            if time.perf_counter() > pause_at_s:
                # Replies that are there already are read without a pause. In a pause, a time limit is noticed.
                await asyncio.sleep(0)
                pause_at_s = time.perf_counter() + _BETWEEN_PAUSES_S
    return Decoded(decoders, foreign)
