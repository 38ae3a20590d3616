"""The interfaces of apps: ASGI, WSGI, and that of the handler classes of `http.server`.

The module that measures an interface is imported with the first such app.
"""

from __future__ import annotations

import inspect
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from ..delivery.flusher import Flusher
from ..instruments.catalogue import SETUP_LOCK

if TYPE_CHECKING:
    from .traces import ExemplarSource

__all__ = ["Interface", "interface_of", "measured_app"]

Interface = Literal["asgi", "wsgi", "handler"]

_ASGI_ARGUMENTS = ("scope", "receive", "send")
_WSGI_ARGUMENTS = ("environ", "start_response")
_LAMBDA_ARGUMENTS = ["event", "context"]


def interface_of(app: Any) -> Interface:
    """Return the interface of an app.

    Raises:
        TypeError: it has none of these.

    Example:
        >>> async def hello(scope, receive, send): ...
        >>> interface_of(hello)
        'asgi'
    """
    server = sys.modules.get("http.server")  # a handler class's own module has imported it
    if isinstance(app, type) and server is not None and issubclass(app, server.BaseHTTPRequestHandler):
        return "handler"
    if not callable(app):
        raise _not_an_app(app, f"not {type(app).__name__}")
    if _is_asynchronous(app):
        return "asgi"
    names = _required_names(app)
    if names == _LAMBDA_ARGUMENTS:
        raise _not_an_app(app, "and this is a function of an event")
    if names is None or len(names) == len(_WSGI_ARGUMENTS):
        return "wsgi"
    if len(names) == len(_ASGI_ARGUMENTS):
        return "asgi"
    raise _not_an_app(app, f"and this takes ({', '.join(names)})")


def measured_app(app: Any, interface: Interface, flusher: Flusher, exemplar: ExemplarSource | None) -> Any:
    """Return what stands in the place of the app; an app that is measured already stays as it is."""
    options = {} if exemplar is None else {"exemplar": exemplar}
    with SETUP_LOCK:  # threads may do it for the same app
        if interface == "handler":
            from .http_handler import measured_handler

            return measured_handler(app, flusher, **options)
        if interface == "wsgi":
            from .wsgi import measured_wsgi

            return measured_wsgi(app, flusher, **options)
        from .asgi import measured_asgi

        return measured_asgi(app, flusher, **options)


def _is_asynchronous(app: Any) -> bool:
    while isinstance(app, partial):
        app = app.func
    app = inspect.unwrap(app)
    # A class is called to make an object that is awaited.
    target = getattr(app, "__await__", None) if isinstance(app, type) else app
    return (
        inspect.iscoroutinefunction(target)
        or (not isinstance(app, type) and inspect.iscoroutinefunction(type(app).__call__))
        or (isinstance(app, type) and target is not None)
    )


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
