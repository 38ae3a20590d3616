"""Our names that an instrument of the program has, too: one page can't show both."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from ..model.delivery_metrics import SCHEMAS
from .catalogue import DECLARATIONS, OWN, prefix_with

__all__ = ["is_left_out", "log_left_out", "refuse_taken_names"]

_log = logging.getLogger("kairo_metrics")
_logged: set[str] = set()


def refuse_taken_names(registries: Iterable[CollectorRegistry], prefix: str) -> None:
    """Check that no instrument of these registries has a name of ours, also one that a page derives from it.

    Args:
        registries: the program's.
        prefix: that of our names.

    Raises:
        ValueError: an instrument has such a name.
    """
    for registry in registries:
        for name, instrument in _taken(registry, prefix):
            whose = "prometheus_client's default registry" if registry is REGISTRY else "a registry given to install"
            family = _family_of(instrument)
            raise ValueError(
                f"the name {name} is taken: kairo_metrics measures under it, and {whose} "
                f"has your {family.type} {family.shown()}. {_advice(name, prefix)}"
            )


def is_left_out(instrument: MetricWrapperBase) -> bool:
    """Tell whether a registered instrument is not sent, because it is the program's and has a name of ours."""
    is_ours = instrument in OWN._collector_to_names  # noqa: SLF001  the registry has no public look-up
    return not is_ours and _our_name(prefix_with(None), _family_of(instrument)) is not None


def log_left_out(instrument: MetricWrapperBase) -> None:
    """Log that an instrument is not sent because it has a name of ours; once for each name.

    It is no warning: both go on, and a program that uses another instrumentation library may well mean it so.
    """
    prefix, family = prefix_with(None), _family_of(instrument)
    ours = _our_name(prefix, family)
    if ours is not None and family.name not in _logged:
        _logged.add(family.name)
        _log.info(
            "your %s %s is not sent: kairo_metrics measures under the name %s. It goes on in its own registry. %s",
            family.type,
            family.shown(),
            ours,
            _advice(ours, prefix),
        )


class _Family(NamedTuple):
    """What the names of a family depend on. It is also a collector of itself, for the registry's own rule."""

    name: str
    type: str

    def describe(self) -> list[_Family]:
        return [self]

    def names(self) -> list[str]:
        """Return the name, and those that a page derives from it."""
        names: list[str] = OWN._get_names(self)  # noqa: SLF001
        return names

    def shown(self) -> str:
        """Return the name that people know the family by."""
        return f"{self.name}_total" if self.type == "counter" else self.name


@lru_cache(maxsize=1024)
def _our_name(prefix: str, family: _Family) -> str | None:
    """Return our family with which a family of the program has a name in common; None if there is none."""
    ours = _own_names(prefix)
    return next((ours[name] for name in family.names() if name in ours), None)


@lru_cache(maxsize=8)
def _own_names(prefix: str) -> dict[str, str]:
    """Return every name that our families have or reserve, with the name that people know the family by."""
    declared = [declaration for group in DECLARATIONS.values() for declaration in group]
    families = [
        *(_Family(one.named(prefix).removesuffix("_total"), one.kind._type or "") for one in declared),  # noqa: SLF001
        *(_Family(schema.name, schema.type) for schema in SCHEMAS),
    ]
    return {name: family.shown() for family in families for name in family.names()}


def _taken(registry: CollectorRegistry, prefix: str) -> Iterator[tuple[str, MetricWrapperBase]]:
    """Yield each of our families that is not free, and the instrument that has one of its names."""
    for name, family in _own_names(prefix).items():
        instrument = registry._names_to_collectors.get(name)  # noqa: SLF001  the registry has no public look-up
        if isinstance(instrument, MetricWrapperBase):  # no other collector is sent
            yield family, instrument


def _family_of(instrument: MetricWrapperBase) -> _Family:
    return _Family(instrument._name, instrument._type or "")  # noqa: SLF001  prometheus_client keeps them private


def _advice(name: str, prefix: str) -> str:
    if name.startswith("kairo_"):
        return "Rename yours."
    return f'Give ours another prefix, such as instrument(app, prefix="{prefix}app_"), or rename yours.'
