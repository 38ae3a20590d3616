"""What a scrape reads: which entries of the families index, and the schema that each family is served under."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..exposition.family import sample_names_of
from ..model.schema import Schema
from ..model.snapshot import IndexEntry, Snapshot
from .self_metrics import ABOUT_ALL

__all__ = ["Selection", "select"]

# An instance announces its families when it starts. A deployment in use has instances that started within this time.
_STILL_DEPLOYED_MS = 10 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of a snapshot that is read.

    Args:
        names: family or sample names that were asked for; empty for all.
        served: by family, the schema that it is served under.
        entries: by family, the index entries whose series can be served under that schema.
        exemplars: by family, the index entries of the exemplars of that schema.
        clashing: by family, how many schemas instances still announce that can't be served under it.
    """

    names: frozenset[str]
    served: Mapping[str, Schema]
    entries: Mapping[str, Sequence[IndexEntry]]
    exemplars: Mapping[str, Sequence[IndexEntry]]
    clashing: Mapping[str, int]

    def includes(self, schema: Schema) -> bool:
        """Tell whether a family was asked for."""
        return _is_asked_for(schema, self.names)

    @property
    def all_entries(self) -> list[IndexEntry]:
        """The entries to read, exemplars last."""
        groups = (*self.entries.values(), *self.exemplars.values())
        return [entry for entries in groups for entry in entries]


def select(snapshot: Snapshot, names: frozenset[str], *, exemplars: bool) -> Selection:
    """Choose the entries to read, and the schema that each family is served under.

    Args:
        snapshot: the families index.
        names: family or sample names, as in `name[]`; all when empty.
        exemplars: whether exemplars are read.
    """
    announced: defaultdict[str, list[IndexEntry]] = defaultdict(list)
    for entry in snapshot.entries:
        if entry.schema.type != "exemplars" and _is_asked_for(entry.schema, names):
            announced[entry.schema.name].append(entry)
    served = {name: _served_schema(entries, snapshot.now_ms) for name, entries in sorted(announced.items())}
    return Selection(
        names,
        served,
        {
            name: [entry for entry in entries if _can_merge(entry.schema, served[name])]
            for name, entries in announced.items()
        },
        _exemplar_entries(snapshot, served) if exemplars else {},
        _clashing(announced, served, snapshot.now_ms),
    )


def _is_asked_for(schema: Schema, names: frozenset[str]) -> bool:
    return not names or not names.isdisjoint(ABOUT_ALL) or not names.isdisjoint(sample_names_of(schema))


def _served_schema(entries: Sequence[IndexEntry], now_ms: int) -> Schema:
    """Choose the schema that a family is served under.

    It is the youngest of those that instances still announce. So it does not change back and forth while two
    deployments run side by side, and it is the old one again after a rollback of the deployment. If no instance has
    started lately, it is the one that was announced last.
    """

    def rank(entry: IndexEntry) -> tuple[bool, int, str]:
        current = now_ms - entry.announced_ms < _STILL_DEPLOYED_MS
        return current, entry.created_ms if current else entry.announced_ms, entry.schema.id

    return max(entries, key=rank).schema


def _can_merge(one: Schema, other: Schema) -> bool:
    """Tell whether lines of both schemas can become one family."""
    return (one.type, one.rule) == (other.type, other.rule)


def _exemplar_entries(snapshot: Snapshot, served: Mapping[str, Schema]) -> dict[str, list[IndexEntry]]:
    """Return by family the index entries of its exemplars, one for each shard."""
    found: defaultdict[str, list[IndexEntry]] = defaultdict(list)
    for entry in snapshot.entries:
        schema = served.get(entry.schema.name)
        if schema is not None and entry.schema == schema.exemplars:
            found[schema.name].append(entry)
    return dict(found)


def _clashing(
    announced: Mapping[str, Sequence[IndexEntry]], served: Mapping[str, Schema], now_ms: int
) -> dict[str, int]:
    """Count by family the schemas that are left out and that instances still announce."""
    counts = {
        name: sum(
            not _can_merge(entry.schema, served[name]) and now_ms - entry.announced_ms < _STILL_DEPLOYED_MS
            for entry in entries
        )
        for name, entries in announced.items()
    }
    return {name: count for name, count in counts.items() if count}
