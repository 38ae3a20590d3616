"""The labelled children that count a request, as functions from its facts.

Which instruments there are is data: their number, names and labels may be others than those of our own declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from prometheus_client import Counter

from .declaration import Declaration, Group
from .shape import shape

__all__ = ["Child", "children_that_count"]

Child = Callable[[Mapping[str, str]], Any]


def children_that_count(group: Group, what: str) -> tuple[Child, ...]:
    """Return the instruments of a group that count this, each as a function from facts to the labelled child.

    Args:
        group: one of the groups of requests.
        what: of a request; see `Declaration.counts`.
    """
    return tuple(
        _child(declaration, instrument)
        for declaration, instrument in zip(group.declarations, group.members, strict=True)
        if declaration.counts == what
    )


def _child(declaration: Declaration, instrument: Any) -> Child:
    further = declaration.further_labels(shape())
    if shape().names:
        from .preset_children import preset_child  # few programs come from another library
        from .preset_declaration import PresetDeclaration

        if isinstance(declaration, PresetDeclaration):
            amounts = declaration.kind is Counter and declaration.counts != "requests"
            facts = (*declaration.facts, *further)
            return preset_child(instrument, facts, declaration.needs, declaration.twice_with, is_total=amounts)
    facts = (*declaration.labelnames, *further)
    if not facts:
        return lambda _values: instrument
    pick: Any = itemgetter(*facts)
    if len(facts) == 1:
        return lambda values: instrument.labels(pick(values))
    return lambda values: instrument.labels(*pick(values))
