"""The stored series of a namespace, with the times that a scrape leaves out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...exposition.names import found_by
from ...model.encoding import TIMES_WIDTH
from ...model.schema import Schema
from ...model.snapshot import IndexEntry, Snapshot
from ...scrape.decode import SeriesDecoder

if TYPE_CHECKING:
    from ...store.store_interface import Store

__all__ = ["StoredFamily", "StoredNamespace", "StoredSeries", "read_namespace"]


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """One series.

    Args:
        text: its label text.
        numbers: the numbers of its packed line.
        created_ms: when it was first written, by the store's clock.
        touched_ms: when it was last written.
    """

    text: bytes
    numbers: bytes
    created_ms: int
    touched_ms: int


@dataclass(frozen=True, slots=True)
class StoredFamily:
    """One family under one schema in one shard: the content of one hash, to which METRICS_MAX_SERIES applies.

    Args:
        schema: the schema of the family.
        shard: where the hash is.
        series: its series, including those that are too old for a scrape.
        damaged: fields that can't be read.
        foreign: whether the key holds another Redis type than a hash.
    """

    schema: Schema
    shard: int
    series: tuple[StoredSeries, ...] = ()
    damaged: int = 0
    foreign: bool = False

    def events(self, series: StoredSeries) -> float | None:
        """Return what a series has counted: observations, or the value of a counter; None for a gauge.

        Example:
            >>> family = StoredFamily(Schema("wait", "histogram", (), ("1.0", "+Inf")), 0)
            >>> family.events(StoredSeries(b"", b"9.5 2 3", 0, 0))
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
class StoredNamespace:
    """The content of one namespace.

    Args:
        snapshot: the families index, the server's clock and facts.
        families: sorted by name, schema and shard.
    """

    snapshot: Snapshot
    families: tuple[StoredFamily, ...]


async def read_namespace(
    store: Store, names: Collection[str] = (), on_series: Callable[[int], None] = lambda _count: None
) -> StoredNamespace:
    """Read all families, or some of them.

    Args:
        store: the store to read.
        names: family or sample names; all when empty.
        on_series: called after each chunk with the number of series read so far.

    Raises:
        StoreError: the store could not be read.
    """
    snapshot = await store.snapshot()
    known = [entry for entry in snapshot.entries if entry.schema.type != "exemplars"]
    schemas = [entry.schema for entry in known]
    asked = {schema for name in names for schema in found_by(name, schemas)}
    wanted = [entry for entry in known if not names or entry.schema in asked]
    families = {entry: StoredFamily(entry.schema, entry.shard) for entry in wanted}
    found: dict[IndexEntry, dict[bytes, StoredSeries]] = {entry: {} for entry in wanted}
    read = 0
    async with aclosing(store.scan(wanted)) as chunks:
        async for entry, items in chunks:
            if items is None:
                families[entry] = replace(families[entry], foreign=True)
                continue
            good, damaged = _read(entry.schema, items)
            found[entry].update(good)  # HSCAN may return a series twice
            families[entry] = replace(families[entry], damaged=families[entry].damaged + damaged)
            read += len(good)
            on_series(read)
    filled = [replace(family, series=tuple(found[entry].values())) for entry, family in families.items()]
    return StoredNamespace(snapshot, tuple(sorted(filled, key=lambda s: (s.schema.name, s.schema.id, s.shard))))


def _read(schema: Schema, items: list[bytes]) -> tuple[dict[bytes, StoredSeries], int]:
    """Return the good series of one chunk, and the number of damaged ones."""
    decoder = SeriesDecoder(schema, oldest_ms=0)
    decoder.add_chunk(items)
    good = {}
    for text, line in zip(items[::2], items[1::2], strict=True):
        if text in decoder.series:
            created, touched = line[-TIMES_WIDTH:].split()
            good[text] = StoredSeries(text, decoder.series[text], int(created), int(touched))
    return good, decoder.damaged
