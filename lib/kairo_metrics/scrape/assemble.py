"""The page, assembled of families without clashing names and of the metrics about the page itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..exposition.family import Extras, Family
from ..exposition.page import Page
from ..model.snapshot import Snapshot
from .clashes import Clash, find_clashes
from .resolve import ResolvedFamily
from .selection import Selection, is_deployed
from .self_metrics import OWN_NAMES, own_families, with_collectors, zeros

if TYPE_CHECKING:
    from .page_collectors import Outcome

__all__ = ["Assembled", "assemble", "with_collected"]


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


def with_collected(page: Page, outcomes: Sequence[Outcome], extras: Extras) -> Page:
    """Return the page with the families of collectors. A stored family with a name of theirs takes precedence.

    Args:
        page: what the store holds.
        outcomes: what the collectors have given.
        extras: what the format prints.
    """
    if not outcomes:
        return page
    stored = [family for family in page.families if family.schema.name not in OWN_NAMES]
    found = [family for outcome in outcomes if outcome.collected for family in outcome.collected.families]
    collected = [family if extras.created else replace(family, created={}) for family in found]
    clashes = [clash for clash in find_clashes(stored, extras, collected) if clash.is_collected]
    left_out = {id(clash.family) for clash in clashes if clash.is_left_out}
    problems: Counter[tuple[str, str]] = Counter()
    for outcome in outcomes:
        problems.update({(outcome.name, reason): count for reason, count in outcome.problems.items()})
    families = with_collectors(
        page.families,
        [family for family in collected if id(family) not in left_out],
        Counter(clash.told(is_current=True) for clash in clashes),
        problems,
    )
    return replace(page, families=tuple(sorted(families, key=lambda family: family.schema.name)))
