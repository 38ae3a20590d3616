"""The page, assembled of families without clashing names and of the metrics about the page itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..exposition.family import Family
from ..exposition.names import sample_names
from ..exposition.page import Page
from ..model.snapshot import Snapshot
from .resolve import ResolvedFamily
from .selection import Selection
from .self_metrics import OWN_NAMES, own_families, zeros

__all__ = ["assemble"]


def assemble(snapshot: Snapshot, selection: Selection, resolved: Sequence[ResolvedFamily], escaping: str) -> Page:
    """Return the page of these families.

    Args:
        snapshot: the clock, the index and facts about the server.
        selection: what was asked for.
        resolved: the families.
        escaping: the scheme for names beyond the classic letters. It may turn two names into one, which then clash.
    """
    families = {found.family.schema.name: found.family for found in resolved}
    damaged = {found.family.schema.name: found.damaged for found in resolved}
    for schema, series in zeros(snapshot):
        if selection.includes(schema):
            family = families.setdefault(schema.name, Family(schema, {}))
            if family.schema == schema:
                families[schema.name] = replace(family, series=series | dict(family.series))
    if snapshot.damaged:
        damaged[""] = snapshot.damaged  # their names can't be read
    shown = _without_clashes([family for _, family in sorted(families.items()) if family.series], damaged, escaping)
    shown += own_families(snapshot, shown, damaged, selection.clashing)
    return Page(tuple(sorted(shown, key=lambda family: family.schema.name)), snapshot.now_ms)


def _without_clashes(families: list[Family], damaged: dict[str, int], escaping: str) -> list[Family]:
    """Leave out each family with a sample name that an earlier family uses. Scrapers refuse a page with both."""
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
