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

__all__ = ["entries_of", "entry_of", "in_place_of", "is_measured_class"]

Entry = TypeVar("Entry")
Method = Callable[..., Any]
_ENTRIES = "_kairo_entries"


def entry_of(app: Any, kind: type[Entry]) -> Entry | None:
    """Return the entry of that kind with which the app was put in place, if it was."""
    return next((entry for entry in entries_of(app) if isinstance(entry, kind)), None)


def entries_of(app: Any) -> tuple[Any, ...]:
    """Return all of them."""
    return getattr(type(app), _ENTRIES, ())


def is_measured_class(own_class: type) -> bool:
    """Tell whether a class is one that `in_place_of` has made."""
    return _ENTRIES in vars(own_class)


def in_place_of(app: Any, entry: Any, method: Callable[[Any, Method], Method]) -> Any:
    """Return the app with the class of a measured one, or a wrapper of it.

    Args:
        app: the app.
        entry: takes the app's calls; `entry_of` finds it again.
        method: returns the `__call__` of the new class for the entry and the `__call__` of the app's own class.
    """
    entries = (entry, *entries_of(app))
    own_name = {} if hasattr(app, "app") else {"app": _Itself()}
    # A class that is an app may also be called for other reasons. A function has no class of its own, nor has an object
    # whose class is written in C. Other classes refuse to have a subclass, each with an error of its own.
    if not isinstance(app, type):
        with suppress(Exception):
            give_own_class(app, __call__=method(entry, type(app).__call__), **{_ENTRIES: entries}, **own_name)
            return app
    from .app_wrapper import AppWrapper  # most apps are objects

    attributes = {"__call__": method(entry, AppWrapper.call_app), _ENTRIES: (entry,)}
    return type("MeasuredApp", (AppWrapper,), attributes)(app)


class _Itself:
    """The attribute `app` of a measured app: wrappers have it, so code may ask for it."""

    def __get__(self, app: Any, owner: type) -> Any:
        return self if app is None else app
