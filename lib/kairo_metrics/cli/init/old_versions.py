"""Packages that a project keeps in a version which is too old for this package."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

__all__ = ["too_old"]

_Version = tuple[int, ...]
_CLAUSE = re.compile(r"(===|==|~=|<=|<|\^|~)\s*v?(\d+(?:\.\d+)*)(?:\.\*)?")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;#@]*)")


def too_old(lines: Iterable[str], oldest: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each line that allows only versions which are too old, and what is needed in its place.

    Args:
        lines: requirements, as in `requirements.txt`, or as Poetry writes them, with `^` and `~`.
        oldest: by package the oldest version that works.

    Example:
        >>> list(too_old(["redis[hiredis]==4.6", "starlette>=0.37"], {"redis": "5", "starlette": "0.40"}))
        [('redis[hiredis]==4.6', 'redis>=5')]
    """
    for line in lines:
        found = _REQUIREMENT.match(line)
        name = re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""
        if found and name in oldest:
            needed = _version(oldest[name])
            if any(_excludes(operator, _version(text), needed) for operator, text in _CLAUSE.findall(found[2])):
                yield line.strip(), f"{name}>={oldest[name]}"


def _version(text: str) -> _Version:
    return tuple(int(part) for part in text.split("."))


def _is_below(version: _Version, needed: _Version) -> bool:
    """Tell whether all that is below a version is below the needed one: 5.0 is 5."""
    return version <= needed + (0,) * (len(version) - len(needed))


def _excludes(operator: str, given: _Version, needed: _Version) -> bool:
    """Tell whether a clause allows neither the needed version nor a newer one."""
    if operator in {"==", "===", "<="}:
        return given < needed[: len(given)]
    if operator == "<":
        return _is_below(given, needed)
    if operator == "~=":  # PEP 440: the last part may grow
        return _is_below(_after(given[:-1]), needed)
    # Poetry: with ^ all may grow behind the first part that is not 0, with ~ all behind the second.
    first = next((place for place, part in enumerate(given) if part), len(given) - 1)
    return _is_below(_after(given[: first + 1] if operator == "^" else given[:2]), needed)


def _after(version: _Version) -> _Version:
    """Return the first version that does not begin with this one."""
    return (*version[:-1], version[-1] + 1) if version else (10**9,)
