"""What is wrong with a schema that was read: with it on the page, a scraper would refuse all the others as well."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from .notation import printable

if TYPE_CHECKING:
    from .schema import Schema

__all__ = ["flaw_of"]

_TYPES = frozenset({"counter", "exemplars", "gauge", "histogram", "info", "native", "stateset", "summary"})
_MODES = frozenset(
    {"all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent"}
)
_BOUNDED = frozenset({"histogram", "native"})
_WITHOUT_UNIT = frozenset({"info", "stateset"})
# Label names that the format itself gives to the samples of a type.
_TAKEN = {"histogram": "le", "native": "le", "summary": "quantile"}
_BOUND = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|[+-]Inf")
_INSTANCE_LABEL = "instance_id"


def flaw_of(schema: Schema) -> str:
    """Say what no instance of ours would have announced, or nothing.

    Args:
        schema: as it was found in the store.

    Example:
        >>> from lib.kairo_metrics.store.schema import Schema
        >>> flaw_of(Schema("jobs", "counter", ("queue",))), flaw_of(Schema("jobs", "counter", ("queue", "queue")))
        ('', "not label names: ('queue', 'queue')")
    """
    if schema.type not in _TYPES:
        return f"not a metric type: {schema.type!r}"
    if not _is_name(schema.name):
        return f"not a metric name: {schema.name!r}"
    names = schema.labelnames
    taken = {"__name__", _TAKEN.get(schema.type, ""), schema.name if schema.type == "stateset" else ""}
    if len(set(names)) < len(names) or not all(map(_is_name, names)) or not taken.isdisjoint(names):
        return f"not label names: {names!r}"
    if not (_are_bounds(schema.bounds) if schema.type in _BOUNDED else not schema.bounds):
        return f"not the bounds of a {schema.type}: {schema.bounds!r}"
    return _flaw_of_extras(schema)


def _flaw_of_extras(schema: Schema) -> str:
    if schema.mode not in (_MODES if schema.type == "gauge" else {""}):
        return f"not a mode of a {schema.type}: {schema.mode!r}"
    if schema.per_instance and _INSTANCE_LABEL not in schema.labelnames:
        return f"not the labels of a gauge in mode {schema.mode}: {schema.labelnames!r}"
    if (schema.states and schema.type != "stateset") or (schema.of and schema.type != "exemplars"):
        return f"not a {schema.type}: it has states, or belongs to another family"
    unit = schema.unit
    if unit and (
        schema.type in _WITHOUT_UNIT or not unit.isprintable() or " " in unit or not schema.name.endswith(f"_{unit}")
    ):
        return f"not the unit of {schema.name}: {unit!r}"
    return ""


def _is_name(name: str) -> bool:
    return bool(name) and printable(name) == name


def _are_bounds(bounds: tuple[str, ...]) -> bool:
    if bounds[-1:] != ("+Inf",) or not all(map(_BOUND.fullmatch, bounds)):
        return False
    numbers = list(map(float, bounds))
    return numbers == sorted(set(numbers)) and not any(map(math.isinf, numbers[1:-1]))
