"""Putting the measured app in the place of the app: the same object, whose calls are measured.

An app is more than what the server calls. Frameworks, plugins and commands look for its class, set its attributes and
hold references to it. So its class becomes a subclass that differs in `__call__` alone; every reference to the app is
then one to the measured app. A function has no such class, and gets a wrapper.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["AppWrapper", "in_place_of"]

_OWN = frozenset({"_kairo_entry", "app"})


class AppWrapper:
    """Stands for an app that can't get another class; every attribute but `app` is the app's own."""

    def __init__(self, app: Any, entry: Callable[..., Any]) -> None:
        object.__setattr__(self, "app", app)
        object.__setattr__(self, "_kairo_entry", entry)

    def __getattr__(self, name: str) -> Any:
        if name in _OWN:  # `copy` asks for them before they are set
            raise AttributeError(name)
        return getattr(self.app, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.app, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.app, name)


class _Itself:
    """The attribute `app` of a measured app: wrappers have it, so code may ask for it."""

    def __get__(self, app: Any, owner: type) -> Any:
        return self if app is None else app


def in_place_of(app: Any, entry: Callable[..., Any], mixin: type, wrapper: type[AppWrapper]) -> Any:
    """Return the app with the class of a measured one, or a wrapper of it.

    Args:
        app: the app.
        entry: called with the app's own `__call__` and its arguments.
        mixin: has a `__call__` that calls the entry.
        wrapper: the same for an app that can't get another class.
    """
    own_class = type(app)
    attributes: dict[str, Any] = {
        "__slots__": (),
        "__doc__": own_class.__doc__,
        "__module__": own_class.__module__,
        "__qualname__": own_class.__qualname__,
        "_kairo_entry": staticmethod(entry),
    }
    if not hasattr(app, "app"):
        attributes["app"] = _Itself()
    try:
        metaclass: Any = type(own_class)
        app.__class__ = metaclass(own_class.__name__, (mixin, own_class), attributes)
    except TypeError:  # a function, or a class that is written in C or has a metaclass with rules of its own
        return wrapper(app, entry)
    return app
