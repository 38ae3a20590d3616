"""The page, assembled: families that can stand side by side, and what the page tells of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..exposition.family import Exemplar, Family
from ..exposition.names import sample_names
from ..exposition.page import Page
from ..model.encoding import SeriesNumbers
from ..model.schema import Schema
from ..model.snapshot import Snapshot
from .exemplars import read_exemplars
from .merge import MergedFamily
from .resolve import resolve
from .selection import Selection
from .self_metrics import OWN_NAMES, own_families, zeros

__all__ = ["assemble"]


def assemble(snapshot: Snapshot, selection: Selection, merged: Sequence[MergedFamily], escaping: str) -> Page:
    """Resolve each merged family and return the page of them all.

    Args:
        snapshot: the clock, the index and facts about the server.
        selection: what was asked for.
        merged: the families as they are stored.
        escaping: what becomes of names beyond the classic letters. Two names may become one, and clash.
    """
    families: dict[str, Family] = {}
    damaged: dict[str, int] = {}
    for stored in merged:
        name, resolved = stored.schema.name, resolve(stored.schema, stored.series)
        damaged[name] = stored.damaged + resolved.damaged
        families[name] = Family(
            stored.schema, resolved.series, _exemplars(stored.schema, stored.exemplars), stored.created
        )
    for schema, series in zeros(snapshot):
        if selection.includes(schema):
            known = families.setdefault(schema.name, Family(schema, {}))
            if known.schema == schema:
                families[schema.name] = replace(known, series=series | dict(known.series))
    if snapshot.damaged:
        damaged[""] = snapshot.damaged  # their names are lost
    shown = _without_clashes([family for _, family in sorted(families.items()) if family.series], damaged, escaping)
    shown += own_families(snapshot, shown, damaged, selection.clashing)
    return Page(tuple(sorted(shown, key=lambda family: family.schema.name)), snapshot.now_ms)


def _exemplars(schema: Schema, parts: Sequence[SeriesNumbers]) -> Mapping[bytes, Mapping[int, Exemplar]]:
    """Return the exemplars that a page can show: of a counter, and of each bucket of a histogram."""
    places = {"counter": range(1, 2), "histogram": range(2, 2 + len(schema.bounds))}.get(schema.type, range(0))
    found = read_exemplars(schema.exemplars, parts) if parts and places else {}
    return {
        text: {place: exemplar for place, exemplar in of_text.items() if place in places}
        for text, of_text in found.items()
    }


def _without_clashes(families: list[Family], damaged: dict[str, int], escaping: str) -> list[Family]:
    """Leave out each family with a sample name that another one uses. Scrapers refuse a page with both."""
    claimed = set(OWN_NAMES)
    kept = []
    for family in families:
        names = sample_names(family, escaping)
        if claimed.isdisjoint(names):
            claimed |= names
            kept.append(family)
        else:
            damaged[family.schema.name] = damaged.get(family.schema.name, 0) + len(family.series)
    return kept
