"""Checking schemas from the families index: with a damaged one, scrapers would refuse the whole page."""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache

from .encoding import printable
from .schema import INSTANCE_LABEL, Schema

__all__ = ["flaw_of", "parse_schema"]

_TYPES = frozenset({"counter", "exemplars", "gauge", "histogram", "info", "native", "stateset", "summary"})
_MODES = frozenset(
    {"all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent"}
)
# A schema in bytes, and a name in letters. Longer ones are damaged, and are not parsed.
_LONGEST, _LONGEST_NAME = 262_144, 1_024
_BOUNDED = frozenset({"histogram", "native"})
_WITHOUT_UNIT = frozenset({"info", "stateset"})
# Label names that the exposition format uses itself in the samples of a type.
_RESERVED = {"histogram": "le", "native": "le", "summary": "quantile"}
_BOUND = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|[+-]Inf")


def parse_schema(text: str | bytes) -> Schema:
    """Parse a text that `Schema.metadata` wrote.

    Raises:
        ValueError: the text is not a schema that an instance could have announced.

    Example:
        >>> parse_schema(Schema("jobs", "counter", ("queue",)).metadata()).labelnames
        ('queue',)
    """
    if len(text) > _LONGEST:
        raise ValueError(f"it has {len(text)} bytes")
    return _parse_again(text) if len(text) <= _LONGEST_KEPT else _parse(text)


def _parse(text: str | bytes) -> Schema:
    try:
        fields = json.loads(text)
        schema = Schema(
            name=_text(fields["name"]),
            type=_text(fields["type"]),
            labelnames=tuple(map(_text, fields["labels"])),
            bounds=tuple(map(_text, fields["bounds"])),
            mode=_text(fields["mode"]),
            states=tuple(map(_text, fields["states"])),
            of=_text(fields["of"]),
            help=_text(fields["help"]),
            unit=_text(fields["unit"]),
        )
    except (KeyError, TypeError, RecursionError) as err:
        raise ValueError(f"not a schema: {err!r}") from err
    if flaw := flaw_of(schema):
        raise ValueError(flaw)
    return schema


# Each scrape parses the same schemas, and most are shorter.
_LONGEST_KEPT = 4_096
_parse_again = lru_cache(maxsize=1_024)(_parse)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def flaw_of(schema: Schema) -> str:
    """Return what is wrong with a schema, or an empty text if an instance could have announced it.

    Args:
        schema: a schema from the store.

    Example:
        >>> flaw_of(Schema("jobs", "counter", ("queue",))), flaw_of(Schema("jobs", "counter", ("queue", "queue")))
        ('', "not label names: ('queue', 'queue')")
    """
    if schema.type not in _TYPES:
        return f"not a metric type: {schema.type!r}"
    if not _is_name(schema.name):
        return f"not a metric name: {schema.name!r}"
    names = schema.labelnames
    reserved = {"__name__", _RESERVED.get(schema.type, ""), schema.name if schema.type == "stateset" else ""}
    if len(set(names)) < len(names) or not all(map(_is_name, names)) or not reserved.isdisjoint(names):
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
        return f"not a {schema.type}: it has states, or the id of another schema"
    unit = schema.unit
    if unit and (
        schema.type in _WITHOUT_UNIT or not unit.isprintable() or " " in unit or not schema.name.endswith(f"_{unit}")
    ):
        return f"not the unit of {schema.name}: {unit!r}"
    return ""


def _is_name(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME and printable(name) == name


def _are_bounds(bounds: tuple[str, ...]) -> bool:
    if bounds[-1:] != ("+Inf",) or not all(map(_BOUND.fullmatch, bounds)):
        return False
    numbers = list(map(float, bounds))
    return numbers == sorted(set(numbers)) and not any(map(math.isinf, numbers[1:-1]))
