"""From the store's rows to metric families: one per name, whatever schemas and shards it lies under."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from .exemplars import read_exemplars
from .exposition.family import Exemplar, Extras, Family
from .exposition.names import sample_names
from .gauges import fold, resolve
from .report import ABOUT_ALL, OWN_NAMES, duration, own_families, zeros
from .rows import Rows, Sieve, merge, rebin
from .store.base import State
from .store.bookkeeping import OVERFLOWED
from .store.recovery import Recovery
from .store.schema import Schema
from .store.server_run import ServerRun
from .store.snapshot import IndexEntry, Snapshot

if TYPE_CHECKING:
    from .store.protocol import Store

__all__ = ["Limits", "Scrape", "collect"]

# An instance announces its families when it starts; of a deployment in use some have started lately.
_STILL_DEPLOYED_MS = 10 * 60 * 1000
_WITH_CREATED = frozenset({"counter", "histogram", "native", "summary"})
_NUMBERS_ALONE = Extras()
_TIDIED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one scrape found.

    Args:
        families: sorted by name.
        at_ms: the store's clock when it was read, in ms since 1970.
        states: the name of each shard's state, and how many batches it had taken before it was read.
        recoveries: of each shard, how far it was made good since it went back in time last.
        runs: of each shard, which run of a server it was read from.
        leftovers: by family, the label texts of what seems to be of no more use to the store: series that nobody
            touched for their life, and values of instances whose lease has ended; none where it is the family itself.
    """

    families: tuple[Family, ...]
    at_ms: int
    states: tuple[State, ...] = ()
    recoveries: tuple[Recovery | None, ...] = ()
    runs: tuple[ServerRun, ...] = ()
    leftovers: Mapping[IndexEntry, Sequence[bytes]] = field(default_factory=dict)

    @property
    def is_recovering(self) -> bool:
        """Whether counters stand lower than they did, until instances have sent again what the store lost."""
        return any(recovery is not None and recovery.is_open(self.at_ms) for recovery in self.recoveries)

    def with_duration(self, seconds: float) -> Scrape:
        """Add how long it took."""
        return replace(self, families=(*self.families, duration(seconds)))

    def named(self, names: frozenset[str]) -> Scrape:
        """Keep the families that a `name[]` asks for; all of them where nothing is asked."""
        if not names:
            return self
        return replace(self, families=tuple(family for family in self.families if family.answers_to(names)))


@dataclass(frozen=True, slots=True)
class Limits:
    """How old what is shown may be.

    Args:
        series_ttl_s: seconds after which a series that nobody touched is left out.
        instance_lease_s: seconds after which an instance that did not renew its gauges has ended.
    """

    series_ttl_s: int
    instance_lease_s: int = 300


async def collect(
    store: Store, limits: Limits, names: frozenset[str] = frozenset(), extras: Extras = _NUMBERS_ALONE
) -> Scrape:
    """Read the store and merge what it holds.

    A family stands under one schema. What was recorded under other bounds is put into its own, under other label
    names it is kept as it is; another type, or another way to merge a gauge, is left out.

    Args:
        store: what to read.
        limits: how old series and instances may be.
        names: family or sample names to read, as in `name[]`; all when empty.
        extras: what to read beyond the numbers.

    Raises:
        StoreError: the store could not be read.
    """
    snapshot = await store.snapshot()
    everything = not names or not names.isdisjoint(ABOUT_ALL)
    schemas: defaultdict[str, list[IndexEntry]] = defaultdict(list)
    for entry in snapshot.entries:
        if entry.schema.type != "exemplars" and (everything or Family(entry.schema, {}).answers_to(names)):
            schemas[entry.schema.name].append(entry)
    served = {name: _served_schema(entries, snapshot.now_ms) for name, entries in sorted(schemas.items())}
    readable = [entry for name, entries in schemas.items() for entry in entries if _agree(entry.schema, served[name])]
    exemplars = _exemplar_entries(snapshot, served) if extras.exemplars else {}
    wanted = [*readable, *chain.from_iterable(exemplars.values())]
    sieves, foreign = await _read(store, wanted, snapshot, limits, extras)
    damaged = {name: foreign[name] + sum(sieves[e].damaged for e in schemas[name] if e in sieves) for name in served}
    families = {}
    for name, entries in schemas.items():
        taken = {entry: sieves[entry] for entry in entries if entry in sieves}
        resolved = resolve(served[name], _merged(served[name], taken))
        damaged[name] += resolved.damaged
        families[name] = Family(
            served[name],
            resolved.rows,
            _exemplars_of(served[name], [sieves[entry].rows for entry in exemplars.get(name, ())]),
            _created(taken.values()),
        )
    for schema, rows in zeros(snapshot):
        if everything or Family(schema, {}).answers_to(names):
            known = families.setdefault(schema.name, Family(schema, {}))
            if known.schema == schema:
                families[schema.name] = replace(known, rows=rows | dict(known.rows))
    if snapshot.damaged:
        damaged[""] = snapshot.damaged
    shown = _unclashing([family for _, family in sorted(families.items()) if family.rows], damaged, extras.escaping)
    shown += own_families(snapshot, shown, damaged, _clashing(schemas, served, snapshot.now_ms))
    leftovers = _leftovers(snapshot, sieves, limits)
    shown.sort(key=lambda family: family.schema.name)
    return Scrape(tuple(shown), snapshot.now_ms, snapshot.states, snapshot.recoveries, snapshot.runs, leftovers)


def _leftovers(
    snapshot: Snapshot, sieves: Mapping[IndexEntry, Sieve], limits: Limits
) -> dict[IndexEntry, tuple[bytes, ...]]:
    """Return what a store can do without, a bounded part of it at a time."""
    found = {}
    for entry, sieve in sieves.items():
        if texts := (*sieve.stale, *sieve.ended):
            found[entry] = texts[:_TIDIED_AT_ONCE]
    oldest_ms = snapshot.now_ms - limits.series_ttl_s * 1000
    for entry in snapshot.entries:
        empty = entry not in sieves or not sieves[entry].rows
        # The store counts into this one by itself, and so nobody would announce it again.
        if empty and entry.announced_ms < oldest_ms and entry.schema != OVERFLOWED:
            found.setdefault(entry, ())
    return found


def _exemplar_entries(snapshot: Snapshot, served: Mapping[str, Schema]) -> dict[str, list[IndexEntry]]:
    """Return by family where the exemplars of its schema are, in each shard."""
    found: defaultdict[str, list[IndexEntry]] = defaultdict(list)
    for entry in snapshot.entries:
        schema = served.get(entry.schema.name)
        if schema is not None and entry.schema == schema.exemplars:
            found[schema.name].append(entry)
    return found


def _exemplars_of(schema: Schema, parts: Sequence[Rows]) -> Mapping[bytes, Mapping[int, Exemplar]]:
    """Return those that stand beside a number which is printed: a counter's own, and those of a histogram's buckets."""
    places = {"counter": range(1, 2), "histogram": range(2, 2 + len(schema.bounds))}.get(schema.type, range(0))
    found = read_exemplars(schema.exemplars, parts) if parts and places else {}
    return {
        text: {place: exemplar for place, exemplar in of_text.items() if place in places}
        for text, of_text in found.items()
    }


def _created(sieves: Iterable[Sieve]) -> dict[bytes, int]:
    """Return when each series began, at its first place."""
    created: dict[bytes, int] = {}
    for sieve in sieves:
        for text, at_ms in sieve.created.items():
            created[text] = min(at_ms, created.get(text, at_ms))
    return created


def _clashing(schemas: Mapping[str, list[IndexEntry]], served: Mapping[str, Schema], now_ms: int) -> dict[str, int]:
    """Count by family the schemas left out that instances still announce."""
    return {
        name: clashing
        for name, entries in schemas.items()
        if (
            clashing := sum(
                not _agree(entry.schema, served[name]) and now_ms - entry.announced_ms < _STILL_DEPLOYED_MS
                for entry in entries
            )
        )
    }


async def _read(
    store: Store, entries: list[IndexEntry], snapshot: Snapshot, limits: Limits, extras: Extras
) -> tuple[dict[IndexEntry, Sieve], Mapping[str, int]]:
    """Read all series; return them by entry, and by family the keys that hold something foreign."""
    sieves = {
        entry: Sieve(
            entry.schema,
            snapshot.clock_ms(entry.shard) - limits.series_ttl_s * 1000,
            snapshot.clock_ms(entry.shard) - limits.instance_lease_s * 1000,
            keeps_created=extras.created and entry.schema.type in _WITH_CREATED,
        )
        for entry in entries
    }
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


def _unclashing(families: list[Family], damaged: dict[str, int], escaping: str) -> list[Family]:
    """Leave out a family whose sample names another one uses; a page that has both is refused whole."""
    claimed = set(OWN_NAMES)
    kept = []
    for family in families:
        names = sample_names(family, escaping)
        if claimed.isdisjoint(names):
            claimed |= names
            kept.append(family)
        else:
            damaged[family.schema.name] += len(family.rows)
    return kept


def _merged(newest: Schema, sieves: Mapping[IndexEntry, Sieve]) -> Rows:
    parts = []
    for entry, sieve in sieves.items():
        rebinned = newest.type == "histogram" and entry.schema.bounds != newest.bounds
        parts.append(rebin(sieve.rows, entry.schema, newest) if rebinned else sieve.rows)
    rows = merge(newest, parts)
    for sieve in sieves.values():
        fold(newest, rows, sieve.ended)
    return rows
