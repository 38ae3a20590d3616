"""The page, assembled of families without clashing names and of the metrics about the page itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..exposition.family import Extras, Family
from ..exposition.page import Page
from ..model.snapshot import Snapshot
from .clashes import Clash, find_clashes
from .resolve import ResolvedFamily
from .selection import Selection, is_deployed
from .self_metrics import own_families, zeros

__all__ = ["Assembled", "assemble"]


@dataclass(frozen=True, slots=True)
class Assembled:
    """A page, and what it leaves out.

    Args:
        page: the families that are shown.
        clashes: families that this page or one in another format leaves out.
    """

    page: Page
    clashes: Sequence[Clash]


def assemble(snapshot: Snapshot, selection: Selection, resolved: Sequence[ResolvedFamily], extras: Extras) -> Assembled:
    """Return the page of these families.

    Args:
        snapshot: the clock, the index and facts about the server.
        selection: what was asked for.
        resolved: the families; of two that clash, the first is shown.
        extras: what the format prints. Its scheme for names may turn two names into one, and it may reserve names.
    """
    families = {found.family.schema: found.family for found in resolved}
    for schema, series in zeros(snapshot):
        if selection.includes(schema):
            family = families.get(schema, Family(schema, {}))
            families[schema] = replace(family, series=series | dict(family.series))
    filled = sorted((family for family in families.values() if family.series), key=lambda family: family.schema.name)
    clashes = list(find_clashes(filled, extras))
    left_out = {clash.family.schema for clash in clashes if clash.is_left_out}
    shown = [family for family in filled if family.schema not in left_out]
    damaged: dict[str, int] = {}
    for found in resolved:
        name = found.family.schema.name
        damaged[name] = damaged.get(name, 0) + found.damaged
    if snapshot.damaged:
        damaged[""] = snapshot.damaged  # their names can't be read
    deployed = {entry.schema for entry in snapshot.entries if is_deployed(entry, snapshot.now_ms)}
    clashing = Counter(clash.told(is_current=clash.family.schema in deployed) for clash in clashes)
    shown += own_families(snapshot, shown, damaged, clashing)
    page = Page(tuple(sorted(shown, key=lambda family: family.schema.name)), snapshot.now_ms)
    return Assembled(page, clashes)
