"""From the store's rows to metric families: one per name, whatever schemas and shards it lies under."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .exposition.family import Family
from .gauges import fold, resolve
from .rows import Rows, Sieve, merge, rebin
from .store.base import IndexEntry, Snapshot, Store
from .store.bookkeeping import BATCHES, LOST, OUTCOMES, OVERFLOWED
from .store.notation import label_text, number_text
from .store.schema import Schema

__all__ = ["Scrape", "collect"]

# An instance announces its families when it starts; of a deployment in use some have started lately.
_STILL_DEPLOYED_MS = 10 * 60 * 1000

_SERIES = Schema("kairo_series", "gauge", ("family",), help="Series of a family on this page.")
_QUARANTINED = Schema(
    "kairo_quarantined_fields",
    "gauge",
    ("family",),
    help="Series left out because what is stored of them is damaged or clashes; no family where its name is lost.",
)
_STORE = Schema(
    "kairo_store_info", "gauge", ("eviction_policy", "version"), help="The server that holds the state; always 1."
)
_MEASURES = {
    "clock_skew_s": Schema(
        "kairo_clock_skew_seconds",
        "gauge",
        help="Seconds that the store's clock is ahead (below 0: behind) of the clock of whoever served this page.",
    ),
    "max_memory_bytes": Schema(
        "kairo_store_max_memory_bytes", "gauge", help="Bytes of memory that the store may use; 0 where it has no limit."
    ),
    "max_series": Schema("kairo_max_series", "gauge", help="Series that a family may have before it overflows."),
    "memory_bytes": Schema("kairo_store_memory_bytes", "gauge", help="Bytes of memory that the store uses."),
}
_DURATION = Schema("kairo_scrape_duration_seconds", "gauge", help="Seconds from this scrape's start to its first byte.")


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one scrape found.

    Args:
        families: sorted by name.
        at_ms: the store's clock when it was read, in ms since 1970.
        ended: by gauge, the label texts under which instances are stored whose lease has ended.
    """

    families: tuple[Family, ...]
    at_ms: int
    ended: Mapping[IndexEntry, Sequence[bytes]] = field(default_factory=dict)

    def with_duration(self, seconds: float) -> Scrape:
        """Add how long it took."""
        return replace(self, families=(*self.families, Family(_DURATION, {b"": f"{seconds:.6f}".encode()})))

    def named(self, names: frozenset[str]) -> Scrape:
        """Keep the families that a `name[]` asks for; all of them where nothing is asked."""
        if not names:
            return self
        return replace(self, families=tuple(family for family in self.families if family.answers_to(names)))


async def collect(
    store: Store, series_ttl_s: int, names: frozenset[str] = frozenset(), instance_lease_s: int = 300
) -> Scrape:
    """Read the store and merge what it holds.

    A family stands under one schema. What was recorded under other bounds is put into its own, under other label
    names it is kept as it is; another type, or another way to merge a gauge, is left out.

    Args:
        store: what to read.
        series_ttl_s: series not touched for that long, in seconds, are left out.
        names: family or sample names to read, as in `name[]`; all when empty.
        instance_lease_s: seconds after which an instance that did not renew its gauges has ended.

    Raises:
        StoreError: the store could not be read.
    """
    snapshot = await store.snapshot()
    everything = not names or not names.isdisjoint({_SERIES.name, _QUARANTINED.name})
    schemas: defaultdict[str, list[IndexEntry]] = defaultdict(list)
    for entry in snapshot.entries:
        if everything or Family(entry.schema, {}).answers_to(names):
            schemas[entry.schema.name].append(entry)
    served = {name: _served_schema(entries, snapshot.now_ms) for name, entries in sorted(schemas.items())}
    readable = [entry for name, entries in schemas.items() for entry in entries if _agree(entry.schema, served[name])]
    sieves, foreign = await _read(store, readable, snapshot.now_ms, series_ttl_s, instance_lease_s)
    damaged = {name: foreign[name] + sum(sieves[e].damaged for e in schemas[name] if e in sieves) for name in served}
    rows = {}
    for name, entries in schemas.items():
        resolved = resolve(served[name], _merged(served[name], {e: sieves[e] for e in entries if e in sieves}))
        rows[name] = resolved.rows
        damaged[name] += resolved.damaged
    for schema, zeros in _zeros(snapshot):
        if everything or Family(schema, {}).answers_to(names):
            served.setdefault(schema.name, schema)
            if served[schema.name] == schema:
                rows[schema.name] = zeros | rows.get(schema.name, {})
    if snapshot.damaged:
        damaged[""] = snapshot.damaged
    families = _unclashing([Family(schema, rows[name]) for name, schema in served.items() if rows[name]], damaged)
    families += _own(snapshot, families, damaged)
    ended = {entry: tuple(sieve.ended) for entry, sieve in sieves.items() if sieve.ended}
    return Scrape(tuple(sorted(families, key=lambda family: family.schema.name)), snapshot.now_ms, ended)


async def _read(
    store: Store, entries: list[IndexEntry], now_ms: int, series_ttl_s: int, instance_lease_s: int
) -> tuple[dict[IndexEntry, Sieve], Mapping[str, int]]:
    """Read all series; return them by entry, and by family the keys that hold something foreign."""
    oldest_ms, lease_began_ms = now_ms - series_ttl_s * 1000, now_ms - instance_lease_s * 1000
    sieves = {entry: Sieve(entry.schema, oldest_ms, lease_began_ms) for entry in entries}
    foreign: defaultdict[str, int] = defaultdict(int)
    async for entry, items in store.scan(entries):
        if items is None:
            foreign[entry.schema.name] += 1
        else:
            sieves[entry].take(items)
    return sieves, foreign


def _served_schema(entries: list[IndexEntry], now_ms: int) -> Schema:
    """Choose the schema that a family is served under.

    It is the youngest of those that instances still announce, so that it does not change to and fro while two
    deployments run side by side, and goes back when the younger one was taken back. On a quiet system it is the
    one announced last.
    """

    def rank(entry: IndexEntry) -> tuple[bool, int, str]:
        current = now_ms - entry.announced_ms < _STILL_DEPLOYED_MS
        return current, entry.created_ms if current else entry.announced_ms, entry.schema.id

    return max(entries, key=rank).schema


def _agree(one: Schema, other: Schema) -> bool:
    """Tell whether lines of both can be one family's."""
    return (one.type, one.rule) == (other.type, other.rule)


def _unclashing(families: list[Family], damaged: dict[str, int]) -> list[Family]:
    """Leave out a family whose sample names another one uses; a page that has both is refused whole."""
    claimed = {schema.name for schema in (_SERIES, _QUARANTINED, _STORE, _DURATION, *_MEASURES.values())}
    kept = []
    for family in families:
        if claimed.isdisjoint(family.sample_names):
            claimed |= family.sample_names
            kept.append(family)
        else:
            damaged[family.schema.name] += len(family.rows)
    return kept


def _merged(newest: Schema, sieves: Mapping[IndexEntry, Sieve]) -> Rows:
    parts = []
    for entry, sieve in sieves.items():
        rebinned = entry.schema.bounds != newest.bounds
        parts.append(rebin(sieve.rows, entry.schema, newest) if rebinned else sieve.rows)
    rows = merge(newest, parts)
    for sieve in sieves.values():
        fold(newest, rows, sieve.ended)
    return rows


def _zeros(snapshot: Snapshot) -> Iterator[tuple[Schema, Rows]]:
    """Give the rows of what has not happened yet: `increase` does not see how a series comes into being.

    Source: https://prometheus.io/docs/practices/instrumentation/#avoid-missing-metrics
    """
    families = sorted({entry.schema.name for entry in snapshot.entries})
    for schema, values in ((BATCHES, OUTCOMES), (LOST, families), (OVERFLOWED, families)):
        yield schema, {_text(schema, value): b"0" for value in values}


def _own(snapshot: Snapshot, served: list[Family], damaged: Mapping[str, int]) -> list[Family]:
    """What the page tells of itself."""
    families = [
        Family(_SERIES, {_text(_SERIES, family.schema.name): b"%d" % len(family.rows) for family in served}),
        Family(_QUARANTINED, {_text(_QUARANTINED, name): b"%d" % count for name, count in damaged.items()}),
    ]
    if snapshot.facts:
        facts = [snapshot.facts[name] for name in _STORE.labelnames]
        families.append(Family(_STORE, {label_text(_STORE.labelnames, facts).encode(): b"1"}))
    families += [
        Family(_MEASURES[name], {b"": number_text(number).encode()}) for name, number in snapshot.measures.items()
    ]
    return [family for family in families if family.rows]


def _text(schema: Schema, value: str) -> bytes:
    return label_text(schema.labelnames, [value]).encode()
