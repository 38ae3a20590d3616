"""A request and an app's start must not fail because something about a framework could not be learned."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["unfailing"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_log = logging.getLogger("kairo_metrics")
_logged: set[tuple[str, type[Exception]]] = set()


def unfailing(function: Callable[_P, _T]) -> Callable[_P, _T | None]:
    """Let a function return None where it would raise; the log tells of it once for each kind of exception.

    Example:
        >>> unfailing(lambda: 1)()
        1
    """

    @functools.wraps(function)
    def guarded(*arguments: _P.args, **named: _P.kwargs) -> _T | None:
        try:
            return function(*arguments, **named)
        except Exception as err:  # noqa: BLE001  a framework of another version, or a route of the program's own class
            kind = (getattr(function, "__qualname__", ""), type(err))
            if kind not in _logged:  # each request may fail in the same way
                _logged.add(kind)
                _log.warning("requests may be counted as __unmatched__: a framework differs", exc_info=True)
            return None

    return guarded
