"""Hooking what a framework calls: once, in one object and never in its class, and without failing a request."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["give_own_class", "hook", "hook_in_class", "unfailing"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_log = logging.getLogger("kairo_metrics")
_logged: set[tuple[str, type[Exception]]] = set()
_IS_HOOK = "_kairo_metrics_hook"
# Several threads may instrument the same app, or serve its first requests.
_LOCK = threading.RLock()


def hook(owner: Any, name: str, replace: Callable[[Any], Callable[..., Any]]) -> bool:
    """Replace a method of an object, unless it is replaced already; return whether this call did it.

    Args:
        owner: the object.
        name: the method. An object without it, or that takes no attributes, is left alone.
        replace: takes the bound method and returns what is called in its place.
    """
    with _LOCK:
        method = getattr(owner, name, None)
        if method is None or hasattr(method, _IS_HOOK):
            return False
        replacement = replace(method)
        setattr(replacement, _IS_HOOK, True)
        try:
            setattr(owner, name, replacement)
        except AttributeError:  # a class with `__slots__`
            return False
        return True


def hook_in_class(owner: Any, **methods: Callable[..., Any]) -> bool:
    """Give one object a class of its own, with other methods; return False if this was done already.

    For what can't be set on an object: `__call__` is looked up in the class, and `__slots__` allow no new attributes.
    """
    with _LOCK:
        if hasattr(type(owner), _IS_HOOK):
            return False
        give_own_class(owner, **{_IS_HOOK: True}, **methods)
        return True


def give_own_class(owner: Any, **attributes: Any) -> None:
    """Make a subclass of the object's class, with other attributes, the object's class.

    Raises:
        TypeError: the object is a function, or its class is written in C or can have no subclass. A class may raise
            errors of its own when it gets a subclass.
    """
    own_class = type(owner)
    body = {
        "__slots__": (),
        "__doc__": own_class.__doc__,
        "__module__": own_class.__module__,
        "__qualname__": own_class.__qualname__,
    }
    metaclass: Any = type(own_class)
    measured_class = metaclass(own_class.__name__, (own_class,), {**body, **attributes})
    object.__setattr__(owner, "__class__", measured_class)  # the object's own `__setattr__` may refuse: it is frozen


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
