"""Families that a page can't show beside another one: scrapers refuse a page with both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..exposition.escaping import UNDERSCORES
from ..exposition.family import Extras, Family
from ..exposition.names import claimed_names, unquoted_name
from ..model.schema import Schema
from .self_metrics import OWN_NAMES

__all__ = ["Clash", "find_clashes", "sentence"]

# The format that reserves most names. A clash is told on every page, since the next scraper may ask for this one.
_STRICTEST = Extras(strict=True, escaping=UNDERSCORES)


@dataclass(frozen=True, slots=True)
class Clash:
    """A family that some format leaves out because of another one.

    Args:
        family: the one that is left out.
        other: the name of the one that is shown; `kairo_...` if it is one of the page's own.
        is_left_out: whether this page leaves it out.
        is_collected: whether it comes from a collector.
    """

    family: Family
    other: str
    is_left_out: bool
    is_collected: bool = False

    @property
    def reason(self) -> str:
        """`collector` if it comes from one; `type` if both have one name, and another type or another way to merge a
        gauge; `name` otherwise.
        """
        if self.is_collected:
            return "collector"
        return "type" if self.family.schema.name == self.other else "name"

    def told(self, *, is_current: bool) -> tuple[str, str, str]:
        """Return the family, the other one and the reason.

        Args:
            is_current: whether instances still announce the family. If not, a deployment has replaced it, and its
                series stay until they expire.
        """
        return self.family.schema.name, self.other, self.reason if is_current else "replaced"


def sentence(family: str, other: str, reason: str) -> str:
    """Say for people why a family is left out.

    Example:
        >>> sentence("orders_created", "orders", "name")
        'orders_created has a name that orders uses or reserves'
    """
    if reason == "collector":
        return f"{family} comes from a collector, and has a name that {other} uses or reserves"
    if reason == "name":
        return f"{family} has a name that {other} uses or reserves"
    return f"{family} has two types, or is a gauge that is merged in two ways"


def find_clashes(families: Iterable[Family], extras: Extras, collected: Sequence[Family] = ()) -> Iterator[Clash]:
    """Find what this page, or one in the strictest format, leaves out.

    Args:
        families: those with series; of two that clash, the first is shown.
        extras: those of the format.
        collected: those of collectors. They come last, and none is joined with another family.

    Example:
        >>> from ..model.schema import Schema
        >>> orders = [Family(Schema(name, "counter"), {b"": b"1"}) for name in ("orders", "orders_created")]
        >>> [(clash.family.schema.name, clash.other, clash.is_left_out) for clash in find_clashes(orders, Extras())]
        [('orders_created', 'orders', False)]
    """
    stored = list(families)
    listed = [*stored, *collected]
    schemas = tuple(family.schema for family in listed)
    here, strictly = (_left_out(schemas, each, len(stored)) for each in (extras, _STRICTEST))
    for place, family in enumerate(listed):
        if place in here or place in strictly:
            yield Clash(family, here.get(place) or strictly[place], place in here, place >= len(stored))


@lru_cache(maxsize=8)  # page after page has the same families
def _left_out(schemas: tuple[Schema, ...], extras: Extras, joinable: int) -> Mapping[int, str]:
    """Return the place of each family that is left out, with the name of the one that is shown instead.

    The first `joinable` families may be printed as one with another of their kind.
    """
    left_out: dict[int, str] = {}
    claimed: dict[str, tuple[str, object]] = dict(_own_names(extras.escaping))
    for place, schema in enumerate(schemas):
        names = claimed_names(schema, extras)
        kind = _kind(schema, extras.escaping) if place < joinable else place
        others = [claimed[name] for name in names if name in claimed and claimed[name][1] != kind]
        if others:
            left_out[place] = min(other for other, _ in others)
        else:
            claimed |= dict.fromkeys(names, (schema.name, kind))
    return left_out


@lru_cache(maxsize=8)
def _own_names(scheme: str) -> dict[str, tuple[str, None]]:
    """Return the printed names of the page's own families, with their own names."""
    return {unquoted_name(Schema(name, "gauge"), scheme): (name, None) for name in OWN_NAMES}


def _kind(schema: Schema, scheme: str) -> object:
    """Return what families have in common that can be printed as one."""
    return unquoted_name(schema, scheme), schema.type, schema.rule, schema.mode.removeprefix("live"), schema.states
