"""Putting the measured app in the place of the app: the same object, whose calls are measured.

An app is more than what the server calls. Frameworks, plugins and commands look for its class, set its attributes and
hold references to it. So its class becomes a subclass that differs in `__call__` alone; every reference to the app is
then one to the measured app. A function has no such class, and gets a wrapper.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from ..frameworks.hooks import give_own_class

__all__ = ["entry_of", "in_place_of"]

Entry = TypeVar("Entry")
Method = Callable[..., Any]
_ENTRIES = "_kairo_entries"


def entry_of(app: Any, kind: type[Entry]) -> Entry | None:
    """Return the entry of that kind with which the app was put in place, if it was."""
    return next((entry for entry in getattr(type(app), _ENTRIES, ()) if isinstance(entry, kind)), None)


def in_place_of(app: Any, entry: Any, method: Callable[[Any, Method], Method]) -> Any:
    """Return the app with the class of a measured one, or a wrapper of it.

    Args:
        app: the app.
        entry: takes the app's calls; `entry_of` finds it again.
        method: returns the `__call__` of the new class for the entry and the `__call__` of the app's own class.
    """
    entries = (entry, *getattr(type(app), _ENTRIES, ()))
    own_name = {} if hasattr(app, "app") else {"app": _Itself()}
    # A class that is an app may also be called for other reasons. A function has no class of its own, nor has an object
    # whose class is written in C. Other classes refuse to have a subclass, each with an error of its own.
    if not isinstance(app, type):
        with suppress(Exception):
            give_own_class(app, __call__=method(entry, type(app).__call__), **{_ENTRIES: entries}, **own_name)
            return app
    attributes = {"__call__": method(entry, _Wrapper.call_app), _ENTRIES: (entry,)}
    return type("MeasuredApp", (_Wrapper,), attributes)(app)


class _Wrapper:
    """Stands for an app that can't get another class; every attribute but `app` is the app's own."""

    def __init__(self, app: Any) -> None:
        object.__setattr__(self, "app", app)

    def call_app(self, *args: Any) -> Any:
        return self.app(*args)

    def __getattr__(self, name: str) -> Any:
        if name == "app":  # `copy` asks for it before it is set
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
