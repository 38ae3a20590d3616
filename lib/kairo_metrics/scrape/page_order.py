"""The order of a page: families by name and series by label text, the same on each page.

Sorting 100,000 series takes as long as reading them. Most pages have the series of the page before, so these are put
into its order, and sorted only if new ones have come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from operator import is_

from ..exposition.family import Family
from ..exposition.page import Page
from ..model.delivery_metrics import OWN_PREFIX
from ..model.schema import Schema

__all__ = ["PageOrder"]


class PageOrder:
    r"""Puts pages in order, and remembers the order of the last one.

    Attributes:
        last: the series of each family, in the order of the last page.

    Example:
        >>> own, jobs = Schema("kairo_lost", "counter"), Schema("jobs", "counter")
        >>> page = Page((Family(own, {}), Family(jobs, {b"b": b"1", b"a": b"2"})))
        >>> [(family.schema.name, list(family.series)) for family in PageOrder().applied(page).families]
        [('jobs', [b'a', b'b']), ('kairo_lost', [])]
    """

    def __init__(self) -> None:
        self.last: dict[Schema, Mapping[bytes, bytes]] = {}

    def applied(self, page: Page, names: frozenset[str] = frozenset()) -> Page:
        """Return the page in order: families by name, those about the page itself last, series by label text.

        Args:
            page: what is shown.
            names: the families that were asked for; all when empty. The order of the others stays remembered.
        """
        families = sorted(page.families, key=_place)
        ordered = [_ordered(family, self.last.get(family.schema, {})) for family in families]
        kept = self.last if names else {}
        self.last = {**kept, **{family.schema: family.series for family in ordered}}
        return replace(page, families=tuple(ordered))


def _place(family: Family) -> tuple[bool, str, str]:
    name = family.schema.name
    return name.startswith(OWN_PREFIX), name, family.schema.type


def _ordered(family: Family, last: Mapping[bytes, bytes]) -> Family:
    series = _in_order(family.series, last)
    return family if series is family.series else replace(family, series=series)


def _in_order(series: Mapping[bytes, bytes], last: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """Return the series sorted; `last` has sorted series, most of them the same."""
    # The collector has read what the last page had in its order.
    if len(series) == 1 or (len(series) == len(last) and all(map(is_, series, last))):
        return series
    ordered = {**last, **series}  # the new ones come last
    is_sorted = len(ordered) == len(last)
    if len(ordered) > len(series):
        ordered = {text: numbers for text, numbers in ordered.items() if text in series}
    return ordered if is_sorted else {text: ordered[text] for text in sorted(ordered)}
