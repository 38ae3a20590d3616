"""Requests that an app has chosen not to count: by path or route, by method, and by status."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..frameworks.route import UNMATCHED

__all__ = ["Matcher", "Statuses"]


class Matcher:
    """Tells whether a text is one of those given: texts, texts with `*` and `?`, and compiled patterns.

    Args:
        items: what is matched. A text stands for itself, with `*` and `?` for the whole of it, and a pattern is
            searched for.

    Example:
        >>> matches = Matcher(["/health", "/static/*"])
        >>> matches("/health"), matches("/healthy"), matches("/static/css/a.css")
        (True, False, True)
    """

    __slots__ = ("_patterns", "_texts")

    def __init__(self, items: Iterable[str | re.Pattern[str]]) -> None:
        self._texts = set()
        self._patterns = []
        for item in items:
            if isinstance(item, re.Pattern):
                self._patterns.append(item)
            elif "*" in item or "?" in item:
                glob = re.escape(item).replace(r"\*", ".*").replace(r"\?", ".")
                self._patterns.append(re.compile(rf"\A{glob}\Z", re.DOTALL))
            else:
                self._texts.add(item)

    def __call__(self, text: str) -> bool:
        return text in self._texts or any(pattern.search(text) for pattern in self._patterns)

    def matches_route(self, route: str) -> bool:
        """Return whether a route is matched. Patterns are of paths and templates, so only its text stands for none."""
        return route in self._texts if route == UNMATCHED else self(route)


class Statuses:
    """Tells whether a status is one of those given, such as "404" and "2xx".

    Example:
        >>> Statuses(["2xx", "404"])(204)
        True
    """

    __slots__ = ("_given",)

    def __init__(self, given: Iterable[str]) -> None:
        self._given = frozenset(given)

    def __call__(self, status: int) -> bool:
        return str(status) in self._given or f"{status // 100}xx" in self._given
