"""Django's URL patterns as templates: `^old/(?P<year>[0-9]{4})/$` is shown as `/old/<year>/`."""

from __future__ import annotations

import functools
import re

__all__ = ["readable"]

_NAMED = re.compile(r"\?P(<\w+>)")
_LOOKING = re.compile(r"\?<?[=!]")
_NOT_CAPTURING = re.compile(r"\?[a-zA-Z-]*:")
_ANCHORS = frozenset({"\\A", "\\Z", "\\b", "\\B"})


@functools.lru_cache(maxsize=1024)
def readable(route: str) -> str:
    r"""Return a route as a path: named groups of a regular expression as `<name>`, without what matches no character.

    Args:
        route: as `ResolverMatch.route` has it: the patterns of `path` and `re_path`, joined.

    Example:
        >>> readable(r"api/^items/(?P<pk>[0-9]+)\.json$")
        '/api/items/<pk>.json'
    """
    return "/" + _simplified(route).lstrip("/")


def _simplified(pattern: str) -> str:
    shown, at = "", 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            pair = pattern[at : at + 2]
            if pair not in _ANCHORS:
                shown += pair if pair[1:].isalnum() else pair[1:]
            at += 2
        elif character == "(":
            end = _end_of_group(pattern, at)
            shown += _group(pattern[at + 1 : end])
            at = end + 1
        else:
            shown += "" if character in "^$" else character
            at += 1
    return shown


def _group(inner: str) -> str:
    named = _NAMED.match(inner)
    if named:
        return named[1]
    if _LOOKING.match(inner):
        return ""
    return f"({_simplified(_NOT_CAPTURING.sub('', inner, count=1) if inner.startswith('?') else inner)})"


def _end_of_group(pattern: str, start: int) -> int:
    """Return where the group ends that begins at `start`; a bracket in `[...]` or after a backslash is none."""
    depth, at, in_set = 0, start, False
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            at += 1
        elif in_set:
            in_set = character != "]"
        elif character == "[":
            in_set = True
        elif character in "()":
            depth += 1 if character == "(" else -1
            if not depth:
                return at
        at += 1
    return len(pattern)
