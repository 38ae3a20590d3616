"""What a scrape reads: which entries of the families index, and the schema that each family is served under."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..exposition.names import answers_to
from ..model.schema import Schema
from ..model.snapshot import IndexEntry, Snapshot
from .self_metrics import ABOUT_ALL

__all__ = ["Kind", "Selection", "is_deployed", "kind_of", "select"]

# An instance announces its families when it starts. A deployment in use has instances that started within this time.
_STILL_DEPLOYED_MS = 10 * 60 * 1000


# What can become one family: its name, its type and how two lines of it are merged.
Kind = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of a snapshot that is read.

    Args:
        names: family or sample names that were asked for; empty for all.
        served: by kind, the schema that it is served under; of one name, the one to be shown first comes first.
        entries: by kind, the index entries of its series.
        exemplars: by kind, the index entries of the exemplars of its schema.
    """

    names: frozenset[str]
    served: Mapping[Kind, Schema]
    entries: Mapping[Kind, Sequence[IndexEntry]]
    exemplars: Mapping[Kind, Sequence[IndexEntry]]

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
    announced: defaultdict[Kind, list[IndexEntry]] = defaultdict(list)
    for entry in snapshot.entries:
        if entry.schema.type != "exemplars" and _is_asked_for(entry.schema, names):
            announced[kind_of(entry.schema)].append(entry)
    best = {kind: max(entries, key=lambda entry: _rank(entry, snapshot.now_ms)) for kind, entries in announced.items()}
    # The youngest first, then by name: sorting keeps the order of equals.
    kinds = sorted(best, key=lambda kind: _rank(best[kind], snapshot.now_ms), reverse=True)
    served = {kind: best[kind].schema for kind in sorted(kinds, key=lambda kind: kind[0])}
    return Selection(
        names,
        served,
        {kind: announced[kind] for kind in served},
        _exemplar_entries(snapshot, served) if exemplars else {},
    )


def is_deployed(entry: IndexEntry, now_ms: int) -> bool:
    """Tell whether instances still announce an entry."""
    return now_ms - entry.announced_ms < _STILL_DEPLOYED_MS


def _is_asked_for(schema: Schema, names: frozenset[str]) -> bool:
    return not names or not names.isdisjoint(ABOUT_ALL) or answers_to(schema, names)


def _rank(entry: IndexEntry, now_ms: int) -> tuple[bool, int, str]:
    """Return the rank of a schema; the family is served under the one with the highest.

    It is the youngest of those that instances still announce. So it does not change back and forth while two
    deployments run side by side, and it is the old one again after a rollback of the deployment. If no instance has
    started lately, it is the one that was announced last.
    """
    current = is_deployed(entry, now_ms)
    return current, entry.created_ms if current else entry.announced_ms, entry.schema.id


def kind_of(schema: Schema) -> Kind:
    """Return what a schema has in common with those that can be served as one family with it."""
    return schema.name, schema.type, schema.rule


def _exemplar_entries(snapshot: Snapshot, served: Mapping[Kind, Schema]) -> dict[Kind, list[IndexEntry]]:
    """Return by kind the index entries of its exemplars, one for each shard."""
    kinds = {schema.exemplars: kind for kind, schema in served.items()}
    found: defaultdict[Kind, list[IndexEntry]] = defaultdict(list)
    for entry in snapshot.entries:
        if entry.schema in kinds:
            found[kinds[entry.schema]].append(entry)
    return dict(found)
