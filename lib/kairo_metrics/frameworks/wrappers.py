"""What an app of no known framework may call: middleware holds the app that it wraps."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import suppress
from types import BuiltinFunctionType, FunctionType, MethodType, MethodWrapperType
from typing import Any

__all__ = ["held_by"]


def held_by(candidate: Any) -> Iterator[Any]:
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
