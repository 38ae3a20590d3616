"""From the store's rows to metric families: one per name, whatever schemas and shards it lies under."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from .exposition.family import Family
from .rows import Rows, Sieve, merge, rebin
from .store.base import IndexEntry, Snapshot, Store
from .store.schema import Schema, label_text

__all__ = ["Scrape", "collect"]

_SERIES = Schema("kairo_series", "gauge", ("family",), help="Series of a family on this page.")
_QUARANTINED = Schema(
    "kairo_quarantined_fields",
    "gauge",
    ("family",),
    help="Series left out because what is stored of them is damaged; the family is empty where its name is, too.",
)
_STORE = Schema(
    "kairo_store_info", "gauge", ("eviction_policy", "version"), help="The server that holds the state; always 1."
)
_DURATION = Schema("kairo_scrape_duration_seconds", "gauge", help="Seconds from this scrape's start to its first byte.")


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one scrape found.

    Args:
        families: sorted by name.
    """

    families: tuple[Family, ...]

    def with_duration(self, seconds: float) -> Scrape:
        """Add how long it took."""
        return Scrape((*self.families, Family(_DURATION, {b"": f"{seconds:.6f}".encode()})))

    def named(self, names: frozenset[str]) -> Scrape:
        """Keep the families that a `name[]` asks for; all of them where nothing is asked."""
        if not names:
            return self
        return Scrape(tuple(family for family in self.families if family.answers_to(names)))


async def collect(store: Store, series_ttl_s: int, names: frozenset[str] = frozenset()) -> Scrape:
    """Read the store and merge what it holds.

    A family stands under its newest schema. What older instances recorded under other bounds is put into
    the newest ones, under other label names it is kept as it is; another type is left out.

    Args:
        store: what to read.
        series_ttl_s: series not touched for that long, in seconds, are left out.
        names: family or sample names to read, as in `name[]`; all when empty.

    Raises:
        StoreError: the store could not be read.
    """
    snapshot = await store.snapshot()
    wanted = [entry for entry in snapshot.entries if not names or Family(entry.schema, {}).answers_to(names)]
    newest = _newest_schemas(wanted)
    readable = [entry for entry in wanted if entry.schema.type == newest[entry.schema.name].type]
    sieves, foreign = await _read(store, readable, snapshot.now_ms - series_ttl_s * 1000)
    rows: dict[str, Rows] = {
        name: _merged(schema, {entry: sieve for entry, sieve in sieves.items() if entry.schema.name == name})
        for name, schema in newest.items()
    }
    damaged = {name: foreign[name] for name in newest}
    for entry, sieve in sieves.items():
        damaged[entry.schema.name] += sieve.damaged
    if snapshot.damaged:
        damaged[""] = snapshot.damaged
    families = [Family(schema, rows[name]) for name, schema in newest.items() if rows[name]]
    families += _own(snapshot, rows, damaged)
    return Scrape(tuple(sorted(families, key=lambda family: family.schema.name)))


async def _read(
    store: Store, entries: list[IndexEntry], oldest_ms: int
) -> tuple[dict[IndexEntry, Sieve], Mapping[str, int]]:
    """Read all series; return them by entry, and by family the keys that hold something foreign."""
    sieves = {entry: Sieve(entry.schema, oldest_ms) for entry in entries}
    foreign: defaultdict[str, int] = defaultdict(int)
    async for entry, items in store.scan(entries):
        if items is None:
            foreign[entry.schema.name] += 1
        else:
            sieves[entry].take(items)
    return sieves, foreign


def _newest_schemas(entries: list[IndexEntry]) -> dict[str, Schema]:
    newest: dict[str, IndexEntry] = {}
    for entry in entries:
        held = newest.get(entry.schema.name)
        if held is None or (held.created_ms, held.schema.id) < (entry.created_ms, entry.schema.id):
            newest[entry.schema.name] = entry
    return {name: newest[name].schema for name in sorted(newest)}


def _merged(newest: Schema, sieves: Mapping[IndexEntry, Sieve]) -> Rows:
    parts = []
    for entry, sieve in sieves.items():
        rebinned = entry.schema.bounds != newest.bounds
        parts.append(rebin(sieve.rows, entry.schema, newest) if rebinned else sieve.rows)
    rows = merge(newest, parts)
    if newest.rule == "latest":
        # The time it was set has done its work.
        return {text: numbers.split()[0] for text, numbers in rows.items()}
    return rows


def _own(snapshot: Snapshot, rows: Mapping[str, Rows], damaged: Mapping[str, int]) -> list[Family]:
    """What the page tells of itself."""
    families = [
        Family(_SERIES, {_text(_SERIES, name): b"%d" % len(held) for name, held in rows.items()}),
        Family(_QUARANTINED, {_text(_QUARANTINED, name): b"%d" % count for name, count in damaged.items()}),
    ]
    if snapshot.facts:
        facts = [snapshot.facts[name] for name in _STORE.labelnames]
        families.append(Family(_STORE, {label_text(_STORE.labelnames, facts).encode(): b"1"}))
    return [family for family in families if family.rows]


def _text(schema: Schema, value: str) -> bytes:
    return label_text(schema.labelnames, [value]).encode()
