"""The page of one scrape. Every format is a view of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .family import Family
from .names import answers_to

__all__ = ["Page"]


@dataclass(frozen=True, slots=True)
class Page:
    """Families, merged and ready to be printed.

    Args:
        families: ready to be printed, in the order of the page.
        at_ms: when the store was read, by its clock, in ms since 1970.
    """

    families: tuple[Family, ...] = ()
    at_ms: int = 0

    def with_family(self, family: Family) -> Page:
        """Return the page with one more family at its end."""
        return replace(self, families=(*self.families, family))

    def named(self, names: frozenset[str]) -> Page:
        """Return the page with only the families that have one of the names; with all of them if there are no names."""
        if not names:
            return self
        return replace(self, families=tuple(family for family in self.families if answers_to(family.schema, names)))
