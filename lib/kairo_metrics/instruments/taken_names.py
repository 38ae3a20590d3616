"""Our names that an instrument of the program has, too: those of our families, and the label that names an instance.

One page can't show both.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics import Gauge, MetricWrapperBase

from ..model.delivery_metrics import OWN_PREFIX, SCHEMAS
from ..model.schema import INSTANCE_LABEL, is_per_instance
from .catalogue import OWN
from .declaration import Declaration
from .declarations import declared
from .shape import Shape, shape

__all__ = ["is_left_out", "log_left_out", "refuse_taken_names"]

_log = logging.getLogger("kairo_metrics")
_logged: set[str] = set()
_LABEL_IS_OURS = f"the label {INSTANCE_LABEL}, which names the instance in its multiprocess_mode; rename the label"


def refuse_taken_names(
    registries: Iterable[CollectorRegistry], chosen: Shape, declarations: Iterable[Declaration]
) -> None:
    """Check that no instrument of these registries has a name of ours, also one that a page derives from it.

    Args:
        registries: the program's.
        chosen: the shape of our families.
        declarations: those of our families.

    Raises:
        ValueError: an instrument has such a name, or a gauge with a value for each instance has the label
            `instance_id`.
    """
    prefix = chosen.prefix or ""
    ours = _own_names(_families(prefix, declarations))
    for registry in registries:
        whose = (
            "prometheus_client's default registry"
            if registry is REGISTRY
            else "a registry given to install or instrument"
        )
        for collector in list(registry._collector_to_names):  # noqa: SLF001  the registry has no public listing
            if not isinstance(collector, MetricWrapperBase):
                continue  # no other collector is sent
            name = _our_name(ours, _family_of(collector))
            if name is not None:
                raise ValueError(
                    f"the name {name} is taken: kairo_metrics measures under it, and {whose} has your "
                    f"{_described(collector)}. {_advice(name, prefix, chosen.names)}"
                )
            if _has_our_label(collector):
                raise ValueError(f"{whose} has your {_described(collector)} with {_LABEL_IS_OURS}")


def is_left_out(instrument: MetricWrapperBase) -> bool:
    """Tell whether a registered instrument is not sent, because it is the program's and has a name of ours."""
    is_ours = instrument in OWN._collector_to_names  # noqa: SLF001  the registry has no public look-up
    return not is_ours and (
        _our_name(_own_names_now(), _family_of(instrument)) is not None or _has_our_label(instrument)
    )


def log_left_out(instrument: MetricWrapperBase) -> None:
    """Log that an instrument is not sent because it has a name of ours; once for each name.

    It is no warning: both go on, and a program that uses another instrumentation library may well mean it so.
    """
    family = _family_of(instrument)
    name, described = _our_name(_own_names_now(), family), _described(instrument)
    if family.name in _logged:
        return
    _logged.add(family.name)
    if name is None:
        _log.info("your %s is not sent: it has %s", described, _LABEL_IS_OURS)
    else:
        _log.info(
            "your %s is not sent: kairo_metrics measures under the name %s. It goes on in its own registry. %s",
            described,
            name,
            _advice(name, shape().prefix or "", shape().names),
        )


class _Family(NamedTuple):
    """What the names of a family depend on. It is also a collector of itself, for the registry's own rule."""

    name: str
    type: str

    def describe(self) -> list[_Family]:
        return [self]

    def names(self) -> list[str]:
        """Return the name, and those that a page derives from it, as scrapers without UTF-8 names get them."""
        names: list[str] = OWN._get_names(self)  # noqa: SLF001
        return [re.sub("[^a-zA-Z0-9_:]", "_", name) for name in names]

    def shown(self) -> str:
        """Return the name that people know the family by."""
        return f"{self.name}_total" if self.type == "counter" else self.name


def _our_name(ours: Mapping[str, str], family: _Family) -> str | None:
    """Return our family with which a family of the program has a name in common; None if there is none."""
    return next((ours[name] for name in family.names() if name in ours), None)


def _own_names_now() -> Mapping[str, str]:
    return _own_names(_families(shape().prefix or "", declared()))


def _families(prefix: str, declarations: Iterable[Declaration]) -> tuple[_Family, ...]:
    return (
        *(_Family(one.named(prefix).removesuffix("_total"), one.kind._type or "") for one in declarations),  # noqa: SLF001
        *(_Family(schema.name, schema.type) for schema in SCHEMAS),
    )


@lru_cache(maxsize=8)
def _own_names(families: tuple[_Family, ...]) -> Mapping[str, str]:
    """Return every name that these families have or reserve, with the name that people know the family by."""
    return {name: family.shown() for family in families for name in family.names()}


def _has_our_label(instrument: MetricWrapperBase) -> bool:
    return (
        isinstance(instrument, Gauge)
        and is_per_instance(instrument._multiprocess_mode)  # noqa: SLF001  prometheus_client keeps them private
        and INSTANCE_LABEL in instrument._labelnames  # noqa: SLF001
    )


def _family_of(instrument: MetricWrapperBase) -> _Family:
    return _Family(instrument._name, instrument._type or "")  # noqa: SLF001


def _described(instrument: MetricWrapperBase) -> str:
    family = _family_of(instrument)
    return f"{family.type} {family.shown()}"


def _advice(name: str, prefix: str, names: tuple[str, ...] | None) -> str:
    if name.startswith(OWN_PREFIX):
        return "Rename yours."
    if names:
        return f"If the library of names={names[0]!r} still measures the app, take it out. Otherwise rename yours."
    return f'Give ours another prefix, such as instrument(app, prefix="{prefix}app_"), or rename yours.'
