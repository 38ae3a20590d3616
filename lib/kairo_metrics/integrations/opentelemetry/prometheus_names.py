"""The Prometheus names of what is counted with OpenTelemetry, by the rules of its own exporter for Prometheus.

Source: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/ and the package
`opentelemetry-exporter-prometheus`, with which a test compares each function here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from json import dumps
from typing import Any

__all__ = ["family_name", "label_name", "labels_of", "scope_attributes", "unit_name"]

_NOT_IN_NAMES = re.compile("[^a-zA-Z0-9:]+")
_NOT_IN_LABELS = re.compile("[^a-zA-Z0-9]+")
# What a unit says of the things that are counted, as in "{request}".
_ANNOTATION = re.compile("{.*}")
_UNITS = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "1": "",
    "%": "percent",
}
_PER_UNITS = {
    "s": "second",
    "m": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "mo": "month",
    "y": "year",
}


# Each collection asks for the same names again; a program has few.
_kept = lru_cache(maxsize=1_024)


@_kept
def family_name(name: str, unit: str, *, prefix: str = "", is_counter: bool = False) -> str:
    """Return the name of a family: valid, with its unit, and without the `_total` of a counter.

    Args:
        name: of the instrument, or of its view.
        unit: as `unit_name` returns it.
        prefix: goes before the name, with a `_`.
        is_counter: whether the family is a counter.

    Example:
        >>> family_name("http.server.request.duration", "seconds")
        'http_server_request_duration_seconds'
    """
    valid = _valid(f"{prefix}_{name}" if prefix else name, _NOT_IN_NAMES)
    if is_counter:
        valid = valid.removesuffix("_total")
    return f"{valid}_{unit}" if unit and not valid.endswith(f"_{unit}") else valid


@_kept
def unit_name(unit: str) -> str:
    """Return the word that a unit adds to a name; empty if it adds none.

    Args:
        unit: in the letters of UCUM.

    Example:
        >>> unit_name("ms"), unit_name("By/s"), unit_name("{request}")
        ('milliseconds', 'bytes_per_second', '')
    """
    unit = _ANNOTATION.sub("", unit)
    if unit in _UNITS:
        return _UNITS[unit]
    top, slash, bottom = unit.partition("/")
    if slash and (per := _NOT_IN_NAMES.sub("_", bottom)):
        top = _NOT_IN_NAMES.sub("_", top)
        top = _UNITS.get(top, top)
        per = _PER_UNITS.get(per, per)
        return f"{top}_per_{per}" if top else f"per_{per}"
    return _NOT_IN_NAMES.sub("_", unit).strip("_")


@_kept
def label_name(key: str) -> str:
    """Return the label of an attribute.

    Example:
        >>> label_name("http.request.method"), label_name("2nd")
        ('http_request_method', '_nd')
    """
    return _valid(key, _NOT_IN_LABELS)


def scope_attributes(scope: Any) -> dict[str, Any]:
    """Return what labels say of an instrumentation scope: of the library that has counted."""
    attributes = {f"otel_scope_{key}": value for key, value in (scope.attributes or {}).items()}
    return {
        **attributes,
        "otel_scope_name": scope.name or "",
        "otel_scope_version": scope.version or "",
        "otel_scope_schema_url": scope.schema_url or "",
    }


def labels_of(attributes: Iterable[Mapping[str, Any]], reserved: Iterable[str] = ()) -> dict[str, str]:
    """Return the labels of attributes, sorted by name; of two that would have the same name the later one counts.

    Args:
        attributes: those of the resource, of the scope and of the point, in this order.
        reserved: labels that the family has itself; one with such a name gets `exported_` before it.

    Example:
        >>> labels_of([{"http.status": 200, "cached": True, "why": ""}])
        {'cached': 'true', 'http_status': '200'}
    """
    labels = {}
    for part in attributes:
        for key, value in part.items():
            name = label_name(key)
            labels[f"exported_{name}" if name in reserved else name] = (
                value if isinstance(value, str) else dumps(value, default=str)
            )
    # For Prometheus an empty label is none.
    return {name: labels[name] for name in sorted(labels) if labels[name]}


def _valid(name: str, invalid: re.Pattern[str]) -> str:
    if name[:1].isdigit():
        name = f"_{name[1:]}"
    return invalid.sub("_", name)
