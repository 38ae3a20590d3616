"""What is stored, series by series, with the times that a scrape leaves out: for whoever looks after the store."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...exposition.family import Family
from ...model.encoding import TIMES_WIDTH
from ...model.schema import Schema
from ...model.snapshot import IndexEntry, Snapshot
from ...scrape.decode import SeriesDecoder

if TYPE_CHECKING:
    from ...store.protocol import Store

__all__ = ["Inventory", "StoredFamily", "StoredSeries", "take_inventory"]


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """One series.

    Args:
        text: its label text.
        numbers: those of its packed line.
        created_ms: when it was written first, by the store's clock.
        touched_ms: when it was written last.
    """

    text: bytes
    numbers: bytes
    created_ms: int
    touched_ms: int


@dataclass(frozen=True, slots=True)
class StoredFamily:
    """One family under one schema in one shard: what one hash holds, and what one cap is for.

    Args:
        schema: what the numbers mean.
        shard: where it is.
        series: what is there, those included that no scrape shows any more.
        damaged: fields that can't be read.
        foreign: whether the key holds something else.
    """

    schema: Schema
    shard: int
    series: tuple[StoredSeries, ...] = ()
    damaged: int = 0
    foreign: bool = False

    def events(self, series: StoredSeries) -> float | None:
        """Return what has been counted: observations, or what a counter adds up to; None for a gauge.

        Example:
            >>> shelf = StoredFamily(Schema("wait", "histogram", (), ("1.0", "+Inf")), 0)
            >>> shelf.events(StoredSeries(b"", b"9.5 2 3", 0, 0))
            5.0
        """
        numbers = series.numbers.split()
        match self.schema.type:
            case "histogram":
                return float(sum(map(int, numbers[1:])))
            case "counter" | "summary":
                return float(numbers[0])
            case "native":
                return float(numbers[1])
        return None


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that one namespace holds.

    Args:
        snapshot: the families index, the server's clock and facts.
        shelves: sorted by family, schema and shard.
    """

    snapshot: Snapshot
    shelves: tuple[StoredFamily, ...]


async def take_inventory(
    store: Store, names: Collection[str] = (), on_series: Callable[[int], None] = lambda _count: None
) -> Inventory:
    """Read everything, or some families.

    Args:
        store: what to read.
        names: family or sample names; all when empty.
        on_series: told now and then how many series have been read so far.

    Raises:
        StoreError: the store could not be read.
    """
    snapshot = await store.snapshot()
    families = [entry for entry in snapshot.entries if entry.schema.type != "exemplars"]
    wanted = [entry for entry in families if not names or Family(entry.schema, {}).answers_to(frozenset(names))]
    shelves = {entry: StoredFamily(entry.schema, entry.shard) for entry in wanted}
    found: dict[IndexEntry, dict[bytes, StoredSeries]] = {entry: {} for entry in wanted}
    read = 0
    async with aclosing(store.scan(wanted)) as chunks:
        async for entry, items in chunks:
            if items is None:
                shelves[entry] = replace(shelves[entry], foreign=True)
                continue
            good, damaged = _read(entry.schema, items)
            found[entry].update(good)  # HSCAN may return a series twice
            shelves[entry] = replace(shelves[entry], damaged=shelves[entry].damaged + damaged)
            read += len(good)
            on_series(read)
    filled = [replace(shelf, series=tuple(found[entry].values())) for entry, shelf in shelves.items()]
    return Inventory(snapshot, tuple(sorted(filled, key=lambda s: (s.schema.name, s.schema.id, s.shard))))


def _read(schema: Schema, items: list[bytes]) -> tuple[dict[bytes, StoredSeries], int]:
    """Take the good series out of one chunk, and count the damaged ones."""
    decoder = SeriesDecoder(schema, oldest_ms=0)
    decoder.add_chunk(items)
    good = {}
    for text, line in zip(items[::2], items[1::2], strict=True):
        if text in decoder.series:
            created, touched = line[-TIMES_WIDTH:].split()
            good[text] = StoredSeries(text, decoder.series[text], int(created), int(touched))
    return good, decoder.damaged
