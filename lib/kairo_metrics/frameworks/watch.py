"""Finding the frameworks behind an app, however it is wrapped."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import BuiltinFunctionType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any

from .unfailing import unfailing

__all__ = ["is_known", "match", "watch"]

# By the class's package and name, so that nothing is imported to find out: the module of this room that knows it.
_MODULES = {
    ("a2wsgi", "ASGIMiddleware"): "adapters",
    ("a2wsgi", "WSGIMiddleware"): "adapters",
    ("asgiref", "WsgiToAsgi"): "adapters",
    ("bottle", "Bottle"): "bottle_app",
    ("django", "BaseHandler"): "django_handler",
    ("falcon", "App"): "falcon_app",
    ("flask", "Flask"): "flask_app",
    ("hypercorn", "_DispatcherMiddleware"): "dispatchers",
    ("litestar", "Litestar"): "litestar_app",
    ("pyramid", "Router"): "pyramid_router",
    ("quart", "Quart"): "quart_app",
    ("starlette", "Router"): "starlette_app",
    ("starlette", "Starlette"): "starlette_app",
    ("starlette", "WSGIMiddleware"): "adapters",
    ("werkzeug", "DispatcherMiddleware"): "dispatchers",
}
_MOST_OBJECTS = 200


def watch(app: Any) -> None:
    """Hook the frameworks behind an app, so that they tell routes and exceptions; a second call changes nothing.

    Args:
        app: an ASGI or WSGI app, or middleware around one. It is called with a scope or an environ that has
            `RequestFacts` at `REQUEST_KEY`; a call without them is left alone.

    Example:
        >>> watch(lambda environ, start_response: [])
    """
    for module_name, known in _behind(app):
        _watch_known(module_name, known)


@unfailing
def _watch_known(module_name: str, known: Any) -> None:
    _module(module_name).watch(known)


def match(app: Any, scope: Mapping[str, Any]) -> str | None:
    """Return the template that the app's own router matches; None if there is none, or more than one app behind it.

    Args:
        app: an ASGI or WSGI app, or middleware around one.
        scope: the ASGI scope or the WSGI environ that it would be called with.
    """
    found = list(_behind(app))
    if len(found) != 1:
        return None
    [(module_name, known)] = found
    template: str | None = _module(module_name).match(known, scope)
    return template


def is_known(app: Any) -> bool:
    """Return whether a framework that this room knows is behind an app."""
    return next(_behind(app), None) is not None


def _module(name: str) -> ModuleType:
    return importlib.import_module(f".{name}", __package__)


def _behind(app: Any) -> Iterator[tuple[str, Any]]:
    """Give the frameworks' apps that an app may call, each with its module's name. They are not looked into."""
    waiting, seen = [app], {id(app)}
    for candidate in waiting:
        name = _module_name(candidate)
        if name:
            yield name, candidate
            continue
        for inner in _held_by(candidate):
            if id(inner) not in seen and len(waiting) < _MOST_OBJECTS:
                seen.add(id(inner))
                waiting.append(inner)


def _module_name(candidate: Any) -> str | None:
    for base in type(candidate).__mro__:
        name = _MODULES.get((base.__module__.partition(".")[0], base.__name__))
        if name:
            return name
    return None


def _held_by(candidate: Any) -> Iterator[Any]:
    """Give what a wrapper may call: its attributes, and the variables that its function uses."""
    if isinstance(candidate, MethodType | MethodWrapperType):  # such as `app.wsgi_app`
        held = [candidate.__self__]
    elif isinstance(candidate, functools.partial):
        held = [candidate.func, *candidate.args, *candidate.keywords.values()]
    else:
        # What is called is a function, or the `__call__` of a class.
        call = candidate if isinstance(candidate, FunctionType) else type(candidate).__call__
        held = [*_attributes(candidate), *_variables(call)]
    for value in held:
        if isinstance(value, dict):  # such as the apps of a dispatcher
            yield from filter(_may_be_app, list(value.values()))
        elif _may_be_app(value):
            yield value


def _attributes(candidate: Any) -> list[Any]:
    """Return what an object holds itself. Only that is read: a proxy invents an attribute for every name."""
    slots = [base.__dict__.get("__slots__", ()) for base in type(candidate).__mro__]
    names = [name for names in slots for name in ([names] if isinstance(names, str) else names)]
    if hasattr(type(candidate), "__wrapped__"):  # the proxies of wrapt, which tracers put around an app
        names.append("__wrapped__")
    try:
        return [*getattr(candidate, "__dict__", {}).values(), *(getattr(candidate, name, None) for name in names)]
    except Exception:  # noqa: BLE001  a proxy, such as `flask.request`, that stands for nothing now
        return []


def _variables(function: Any) -> Iterator[Any]:
    """Give what a function closes over, and the global variables of its module that it names."""
    if isinstance(function, FunctionType):
        for cell in function.__closure__ or ():
            with suppress(ValueError):  # the variable is not assigned yet
                yield cell.cell_contents
        yield from (function.__globals__.get(name) for name in function.__code__.co_names)


def _may_be_app(value: Any) -> bool:
    return callable(value) and not isinstance(value, type | BuiltinFunctionType)
