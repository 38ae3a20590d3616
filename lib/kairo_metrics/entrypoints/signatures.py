"""The interface of an app by the arguments that it takes: for what can't be told to be ASGI by `async` and `await`."""

from __future__ import annotations

import inspect
from typing import Any, Literal

__all__ = ["interface_by_arguments"]

_ASGI_ARGUMENTS = ("scope", "receive", "send")
_WSGI_ARGUMENTS = ("environ", "start_response")
_LAMBDA_ARGUMENTS = ["event", "context"]


def interface_by_arguments(app: Any) -> Literal["asgi", "wsgi"]:
    """Return the interface of an app that is not asynchronous.

    Raises:
        TypeError: it has none of these.

    Example:
        >>> interface_by_arguments(lambda environ, start_response: [])
        'wsgi'
    """
    if not callable(app):
        raise _not_an_app(app, f"not {type(app).__name__}")
    names = _required_names(app)
    if names == _LAMBDA_ARGUMENTS:
        raise _not_an_app(app, "and this is a function of an event")
    if names is None or len(names) == len(_WSGI_ARGUMENTS):
        return "wsgi"
    if len(names) == len(_ASGI_ARGUMENTS):
        return "asgi"
    raise _not_an_app(app, f"and this takes ({', '.join(names)})")


def _required_names(app: Any) -> list[str] | None:
    """Return the names of the arguments without a default; None if it takes any arguments."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):  # some callables have no signature
        return None
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    return [p.name for p in parameters if p.kind in positional and p.default is inspect.Parameter.empty]


def _not_an_app(app: Any, what: str) -> TypeError:
    name = getattr(app, "__qualname__", type(app).__qualname__)
    return TypeError(
        f"instrument takes an ASGI or a WSGI app or a handler class, {what}: {name}. A function that is no app is "
        "measured by the decorator `measured`"
    )
