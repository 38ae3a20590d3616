"""A page with what the collectors of a program have given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..exposition.family import Extras, Family
from ..exposition.page import Page
from ..model.encoding import label_text
from .clashes import find_clashes
from .page_collectors import Outcome
from .self_metrics import CLASHING, OWN_NAMES, PROBLEMS, SERIES

__all__ = ["with_collected"]


def with_collected(page: Page, outcomes: Sequence[Outcome], extras: Extras) -> Page:
    """Return the page with the families of collectors. A stored family with a name of theirs takes precedence.

    Args:
        page: what the store holds.
        outcomes: what the collectors have given.
        extras: what the format prints.
    """
    stored = [family for family in page.families if family.schema.name not in OWN_NAMES]
    found = [family for outcome in outcomes if outcome.collected for family in outcome.collected.families]
    collected = [family if extras.created else replace(family, created={}) for family in found]
    clashes = [clash for clash in find_clashes(stored, extras, collected) if clash.is_collected]
    left_out = {id(clash.family) for clash in clashes if clash.is_left_out}
    problems: Counter[tuple[str, str]] = Counter()
    for outcome in outcomes:
        problems.update({(outcome.name, reason): count for reason, count in outcome.problems.items()})
    families = _with_problems(
        page.families,
        [family for family in collected if id(family) not in left_out],
        Counter(clash.told(is_current=True) for clash in clashes),
        problems,
    )
    return replace(page, families=tuple(sorted(families, key=lambda family: family.schema.name)))


def _with_problems(
    families: Iterable[Family],
    collected: Iterable[Family],
    clashing: Mapping[tuple[str, str, str], int],
    problems: Mapping[tuple[str, str], int],
) -> list[Family]:
    """Return the families of a page, with those about the page saying what it has of collectors.

    Args:
        families: those of the page so far.
        collected: those of collectors that the page shows.
        clashing: as in `own_families`.
        problems: what is missing, by the collector and the reason.
    """
    rows = {
        SERIES: {
            label_text(SERIES.labelnames, [family.schema.name]).encode(): len(family.series) for family in collected
        },
        CLASHING: {label_text(CLASHING.labelnames, values).encode(): count for values, count in clashing.items()},
        PROBLEMS: {label_text(PROBLEMS.labelnames, values).encode(): count for values, count in problems.items()},
    }
    shown = {family.schema: family for family in families}
    for schema, counts in rows.items():
        if counts:
            before = shown.get(schema, Family(schema, {}))
            series = {text: b"%d" % count for text, count in counts.items()}
            shown[schema] = replace(before, series={**before.series, **series})
    return [*shown.values(), *collected]
