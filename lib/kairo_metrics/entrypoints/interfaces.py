"""The interfaces of apps: ASGI, WSGI, and that of the handler classes of `http.server`.

The module that measures an interface is imported with the first such app.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from ..instruments.shape import shape
from ..model.fork_locks import SETUP_LOCK

if TYPE_CHECKING:
    from ..config.options import RequestOptions
    from ..delivery.pipeline import Pipeline
    from .traces import ExemplarSource

__all__ = ["Interface", "interface_of", "measured_app"]

Interface = Literal["asgi", "wsgi", "handler"]


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
    if callable(app) and _is_asynchronous(app):
        return "asgi"
    from .signatures import interface_by_arguments  # most apps are asynchronous

    return interface_by_arguments(app)


def measured_app(
    app: Any,
    interface: Interface,
    pipeline: Pipeline,
    exemplar: ExemplarSource | None,
    options: RequestOptions | None = None,
) -> Any:
    """Return what stands in the place of the app; an app that is measured already stays as it is."""
    with SETUP_LOCK:  # threads may do it for the same app
        measure = _measuring(interface)
        chosen: dict[str, Any] = {} if exemplar is None else {"exemplar": exemplar}
        settings = pipeline.settings
        if options is not None or settings.options is not None or shape().names or shape().labels:
            from .chosen_record import rules_with  # most apps choose nothing

            chosen["rules"] = rules_with(options, settings)
        return measure(app, pipeline, **chosen)


def _measuring(interface: Interface) -> Callable[..., Any]:
    if interface == "handler":
        from .http_handler import measured_handler

        return measured_handler
    if interface == "wsgi":
        from .wsgi import measured_wsgi

        return measured_wsgi
    from .asgi import measured_asgi

    return measured_asgi


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
