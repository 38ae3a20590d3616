"""Schemas out of the families index. One that is damaged is refused: scrapers would refuse the whole page with it."""

from __future__ import annotations

import json
import math
import re

from .encoding import printable
from .schema import INSTANCE_LABEL, Schema

__all__ = ["flaw_of", "parse_schema"]

_TYPES = frozenset({"counter", "exemplars", "gauge", "histogram", "info", "native", "stateset", "summary"})
_MODES = frozenset(
    {"all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent"}
)
_BOUNDED = frozenset({"histogram", "native"})
_WITHOUT_UNIT = frozenset({"info", "stateset"})
# Label names that the format itself gives to the samples of a type.
_TAKEN = {"histogram": "le", "native": "le", "summary": "quantile"}
_BOUND = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|[+-]Inf")


def parse_schema(text: str | bytes) -> Schema:
    """Read what `Schema.metadata` wrote.

    Raises:
        ValueError: the text is not a schema that an instance could have announced.

    Example:
        >>> parse_schema(Schema("jobs", "counter", ("queue",)).metadata()).labelnames
        ('queue',)
    """
    try:
        read = json.loads(text)
        schema = Schema(
            name=_text(read["name"]),
            type=_text(read["type"]),
            labelnames=tuple(map(_text, read["labels"])),
            bounds=tuple(map(_text, read["bounds"])),
            mode=_text(read["mode"]),
            states=tuple(map(_text, read["states"])),
            of=_text(read["of"]),
            help=_text(read["help"]),
            unit=_text(read["unit"]),
        )
    except (KeyError, TypeError, RecursionError) as err:
        raise ValueError(f"not a schema: {err!r}") from err
    if flaw := flaw_of(schema):
        raise ValueError(flaw)
    return schema


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def flaw_of(schema: Schema) -> str:
    """Say what no instance of ours would have announced, or nothing.

    Args:
        schema: as it was found in the store.

    Example:
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
    if schema.per_instance and INSTANCE_LABEL not in schema.labelnames:
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
