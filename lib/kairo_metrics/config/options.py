"""What may be chosen for the requests of an app: which are counted, under which labels, in which buckets."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Any, Protocol

from ..errors import SettingsError

__all__ = ["BUCKETS_OF", "NAMES", "RequestOptions", "argument_count", "options_from_env"]

_LabelValue = str | Callable[..., Any]

# The durations whose buckets can be chosen.
BUCKETS_OF = ("http", "database", "function", "websocket")
# A histogram that the names of prometheus-fastapi-instrumentator have besides.
_BUCKETS_OF_A_PRESET = "http_highr"
NAMES = ("django_prometheus", "fastapi_instrumentator", "flask_exporter", "starlette_exporter")
_UNMATCHED_ROUTE = "__unmatched__"
_MOST_BUCKETS = 100
_MOST_LABELS = 10
_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_PREFIX = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED_LABELS = frozenset({"instance_id", "le", "method", "quantile", "route", "status", "type"})
_METHOD = re.compile(r"[A-Z*?_-]+")
_STATUS = re.compile(r"[1-5](?:xx|[0-9]{2})")
# What is common in regular expressions and has no sense in a glob.
_REGULAR_EXPRESSION = re.compile(r"\.[*+]|[\\^$|()]|\[[^\]]-|\][*+]")


class _Environment(Protocol):
    def text(self, variable: str) -> str: ...
    def flag(self, variable: str) -> bool: ...
    def quoted(self, variable: str) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    r"""What a call of `instrument` has chosen; None where it has not said.

    Args:
        buckets: the upper bounds in seconds of the duration histograms of requests and of database queries; or for
            each of "http", "database", "function" and "websocket" its own (`METRICS_BUCKETS`,
            `METRICS_DATABASE_BUCKETS`, `METRICS_FUNCTION_BUCKETS`, `METRICS_WEBSOCKET_BUCKETS`).
        skip_paths: paths or routes whose requests are not counted: text, text with `*` and `?`, or compiled patterns,
            which are searched for (`METRICS_SKIP_PATHS`).
        skip_methods: the same for methods (`METRICS_SKIP_METHODS`).
        labels: further labels of the metrics of requests: a name, and its value or a function that returns it
            (`METRICS_LABELS`, such as `team=shop,region=fra1`).
        group_status: whether the label `status` is "2xx" instead of "204" (`METRICS_GROUP_STATUS`).
        in_progress: whether the requests that are being served are counted (`METRICS_IN_PROGRESS`).
        sizes: whether the bytes of request and response bodies are counted (`METRICS_SIZES`).
        status_codes: the only statuses whose requests are counted: 404, "404" or "4xx" (`METRICS_STATUS_CODES`).
        prefix: goes before the names of our metrics (`METRICS_PREFIX`); `instrument` has an argument of its own for it.
        names: the library whose names our metrics of requests have, such as "starlette_exporter" (`METRICS_NAMES`).

    Raises:
        TypeError: an option has a wrong type.
        ValueError: an option has a wrong value. Each error names the option.

    Example:
        >>> RequestOptions(buckets=[1, 60]).buckets
        {'http': (1.0, 60.0), 'database': (1.0, 60.0)}
    """

    # Dictionaries have no hash, and settings that hold these options have one.
    buckets: Any = field(default=None, hash=False)
    skip_paths: Any = None
    skip_methods: Any = None
    labels: Mapping[str, _LabelValue] | None = field(default=None, hash=False)
    group_status: bool | None = None
    in_progress: bool | None = None
    sizes: bool | None = None
    status_codes: Any = None
    prefix: str | None = None
    names: str | None = None

    def __post_init__(self) -> None:
        """Check all options, and bring each into one form."""
        forms: dict[str, Callable[[Any], Any]] = {
            "buckets": _buckets,
            "skip_paths": _paths,
            "skip_methods": _methods,
            "labels": _labels,
            "status_codes": _statuses,
            "prefix": _prefix,
            "names": _names,
        }
        for one in fields(self):
            value = getattr(self, one.name)
            if value is None:
                continue
            form = forms.get(one.name)
            if form is not None:
                object.__setattr__(self, one.name, form(value))
            elif not isinstance(value, bool):
                raise TypeError(f"{one.name} must be True or False, not {type(value).__name__}")

    def over(self, others: RequestOptions | None) -> RequestOptions:
        """Return these options, and where this call has not said, the others. Each duration has its own buckets."""
        if others is None:
            return self
        missing = {one.name: getattr(others, one.name) for one in fields(self) if getattr(self, one.name) is None}
        if self.buckets is not None and others.buckets is not None:
            missing["buckets"] = {**others.buckets, **self.buckets}
        return replace(self, **missing)


def options_from_env(env: _Environment) -> RequestOptions:
    """Read the options from variables.

    Raises:
        SettingsError: a variable is malformed; the error names it.
    """
    found: dict[str, Any] = {}
    for variable, (option, parse, form) in _VARIABLES.items():
        text = env.text(variable)
        if not text:
            continue
        try:
            value = getattr(RequestOptions(**{option: parse(text)}), option)
        except ValueError:
            raise SettingsError(variable, form, f", not {env.quoted(variable)}") from None
        found[option] = {**found[option], **value} if option in found else value
    for option in ("group_status", "in_progress", "sizes"):
        if env.text(f"METRICS_{option.upper()}"):
            found[option] = env.flag(f"METRICS_{option.upper()}")
    return RequestOptions(**found)


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _numbers(text: str) -> list[float]:
    return [float(item) for item in _items(text)]


def _constant_labels(text: str) -> dict[str, str]:
    pairs = [item.partition("=") for item in _items(text)]
    if not all(equals and value.strip() for _name, equals, value in pairs):
        raise ValueError("a label without a value")
    return {name.strip(): value.strip() for name, _equals, value in pairs}


def _buckets_of(kind: str) -> Callable[[str], dict[str, list[float]]]:
    return lambda text: {kind: _numbers(text)}


def _names(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"names must be one of {', '.join(map(repr, NAMES))}, not {type(given).__name__}")
    if given not in NAMES:
        raise ValueError(f"names must be one of {', '.join(map(repr, NAMES))}, not {given!r}")
    return given


_SECONDS = "must be seconds that go up, such as 0.1,0.5,1,60"
# Of each variable its option, what reads it, and what it must be.
_VARIABLES: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "METRICS_BUCKETS": ("buckets", _numbers, _SECONDS),
    **{f"METRICS_{kind.upper()}_BUCKETS": ("buckets", _buckets_of(kind), _SECONDS) for kind in BUCKETS_OF[1:]},
    "METRICS_SKIP_PATHS": ("skip_paths", _items, "must be paths such as /health,/static/*"),
    "METRICS_SKIP_METHODS": ("skip_methods", _items, "must be methods such as HEAD,OPTIONS"),
    "METRICS_LABELS": ("labels", _constant_labels, "must be labels such as team=shop,region=fra1, with names of yours"),
    "METRICS_PREFIX": ("prefix", str, "must be the beginning of a metric's name, such as shop_"),
    "METRICS_STATUS_CODES": ("status_codes", _items, "must be statuses such as 2xx,404"),
    "METRICS_NAMES": ("names", str, f"must be one of {', '.join(NAMES)}"),
}


def _buckets(given: Any) -> dict[str, tuple[float, ...]]:
    if isinstance(given, Mapping):
        unknown = [kind for kind in given if kind not in BUCKETS_OF and kind != _BUCKETS_OF_A_PRESET]
        if unknown:
            raise ValueError(f"buckets has no {unknown[0]!r}: give seconds for {', '.join(map(repr, BUCKETS_OF))}")
        return {kind: _bounds(bounds) for kind, bounds in given.items()}
    bounds = _bounds(given)
    return {"http": bounds, "database": bounds}


def _bounds(given: Any) -> tuple[float, ...]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"buckets must be a list of seconds, such as [0.1, 0.5, 1, 60], not {type(given).__name__}")
    try:
        bounds = [float(bound) for bound in given if not isinstance(bound, bool) or _refuse_bound(bound)]
    except (TypeError, ValueError):
        raise ValueError(f"buckets must be numbers of seconds, such as [0.1, 0.5, 1, 60], not {given!r}") from None
    if bounds and math.isinf(bounds[-1]):
        bounds.pop()  # it is there in any case
    if not bounds or len(bounds) > _MOST_BUCKETS:
        raise ValueError(f"buckets must be 1 to {_MOST_BUCKETS} bounds in seconds, not {len(bounds)}")
    if not all(0 < bound < math.inf for bound in bounds) or any(low >= high for low, high in pairwise(bounds)):
        raise ValueError(f"buckets must be positive seconds that go up, each once, not {given!r}")
    return tuple(bounds)


def _refuse_bound(bound: Any) -> bool:
    raise TypeError(f"{bound!r} is no number of seconds")


def _paths(given: Any) -> tuple[str | re.Pattern[str], ...]:
    items = _patterns("skip_paths", given)
    for item in items:
        if isinstance(item, re.Pattern):
            continue
        if _REGULAR_EXPRESSION.search(item):
            raise ValueError(
                f"skip_paths has {item!r}, which looks like a regular expression: give re.compile({item!r}), "
                "or a path in which * stands for any characters"
            )
        if item[:1] not in {"/", "*"} and item != _UNMATCHED_ROUTE:
            raise ValueError(f"skip_paths has {item!r}, and a path begins with a slash: give {'/' + item!r}")
    return items


def _methods(given: Any) -> tuple[str | re.Pattern[str], ...]:
    items = [item.upper() if isinstance(item, str) else item for item in _patterns("skip_methods", given)]
    for item in items:
        if isinstance(item, str) and not _METHOD.fullmatch(item):
            raise ValueError(f"skip_methods has {item!r}: give methods such as 'OPTIONS', or re.compile(...)")
    return tuple(items)


def _patterns(option: str, given: Any) -> tuple[str | re.Pattern[str], ...]:
    items = (given,) if isinstance(given, str | re.Pattern) else given
    if isinstance(items, bytes | Mapping) or not isinstance(items, Iterable):
        raise TypeError(f"{option} must be a list of texts or compiled patterns, not {type(given).__name__}")
    items = tuple(items)
    for item in items:
        if not isinstance(item, str | re.Pattern) or (isinstance(item, re.Pattern) and isinstance(item.pattern, bytes)):
            raise TypeError(f"{option} must be a list of texts or compiled patterns of text, and has {item!r}")
    return items


def _labels(given: Any) -> dict[str, _LabelValue]:
    if not isinstance(given, Mapping):
        raise TypeError(f'labels must be a dictionary such as {{"team": "shop"}}, not {type(given).__name__}')
    if len(given) > _MOST_LABELS:
        raise ValueError(f"labels has {len(given)} labels, and {_MOST_LABELS} are possible: each multiplies the series")
    for name, value in given.items():
        if not isinstance(name, str) or not _LABEL_NAME.fullmatch(name):
            raise ValueError(
                f"labels has the name {name!r}: use letters, digits and '_', and no digit at its beginning"
            )
        if name in _RESERVED_LABELS:
            raise ValueError(f"labels has the name {name!r}, which metrics have already: choose another name")
        if inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(getattr(value, "__call__", None)):  # noqa: B004
            raise TypeError(f"labels has an async function for {name!r}: give one that is not async")
        if callable(value):
            argument_count(name, value)
        elif not isinstance(value, str | int | float):
            raise TypeError(f"labels has {value!r} for {name!r}: give a text, or a function of the request")
    return {name: value if callable(value) else str(value) for name, value in given.items()}


def argument_count(name: str, function: Callable[..., Any]) -> int:
    """Return 1 for a function of the request, and 2 for one of the request and the response.

    Raises:
        TypeError: it takes another number of arguments.
    """
    try:
        signature = inspect.signature(function)
    except ValueError:  # some that are written in C tell none
        return 1
    for arguments in ((None,), (None, None)):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return len(arguments)
    raise TypeError(f"labels has a function for {name!r} that takes neither (request) nor (request, response)")


def _prefix(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"prefix must be a text, not {type(given).__name__}")
    if given and not _PREFIX.fullmatch(given):
        raise ValueError(f"prefix={given!r} is not the beginning of a metric's name, such as 'shop_'")
    return given


def _statuses(given: Any) -> tuple[str, ...]:
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise TypeError(f'status_codes must be a list such as ["2xx", 404], not {type(given).__name__}')
    statuses = tuple(str(int(item)) if isinstance(item, int) else str(item).lower() for item in given)
    for status in statuses:
        if not _STATUS.fullmatch(status):
            raise ValueError(f'status_codes has {status!r}: give statuses such as 404, "404" or "4xx"')
    if not statuses:
        raise ValueError('status_codes is empty, so no request would be counted: give statuses such as "2xx"')
    return statuses
