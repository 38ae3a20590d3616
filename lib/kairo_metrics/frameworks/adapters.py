"""Adapters between ASGI and WSGI: they build a new scope or environ, and the request's facts must get into it."""

from __future__ import annotations

import io
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any

from .facts import MOUNT_KEY, REQUEST_KEY
from .hooks import hook_in_class
from .request_path import method_of, path_below
from .watch import match as match_behind
from .watch import watch as watch_behind

__all__ = ["match", "watch"]

# asgiref calls the app that it adapts by another name.
_INNER = ("wsgi_application", "app")
_KEYS = (REQUEST_KEY, MOUNT_KEY)

# The scope on its way through an adapter to WSGI. All of them hand the context on to their thread.
_scope: ContextVar[Mapping[str, Any] | None] = ContextVar("kairo_metrics_scope", default=None)


def watch(adapter: Any) -> None:
    """Hand the facts on through an adapter, and hook what is behind it."""
    name = _inner_name(adapter)
    inner = getattr(adapter, name)
    watch_behind(inner)
    if hasattr(type(adapter), "loop") or hasattr(adapter, "loop"):  # a2wsgi's ASGIMiddleware
        if not isinstance(inner, _ASGIApp):
            adapter.app = _ASGIApp(inner)
    elif hook_in_class(adapter, __call__=_calling(type(adapter).__call__)):
        setattr(adapter, name, _WSGIApp(inner))


def match(adapter: Any, scope: Mapping[str, Any]) -> str | None:
    """Ask the router of the adapted app."""
    inner = getattr(adapter, _inner_name(adapter))
    return match_behind(inner, _asgi(scope) if "REQUEST_METHOD" in scope else _wsgi(scope))


def _inner_name(adapter: Any) -> str:
    return next(name for name in _INNER if name in vars(adapter))


def _calling(call: Any) -> Any:
    async def __call__(self: Any, scope: Any, receive: Any, send: Any) -> None:  # noqa: N807  it becomes the method
        token = _scope.set(scope)
        try:
            await call(self, scope, receive, send)
        finally:
            _scope.reset(token)

    return __call__


class _WSGIApp:
    """The WSGI app in an adapter to ASGI."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: MutableMapping[str, Any], start_response: Any) -> Any:
        _hand_on(_scope.get(), environ)
        return self.app(environ, start_response)


class _ASGIApp:
    """The ASGI app in an adapter to WSGI, which leaves the environ in the scope."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        _hand_on(scope.get("wsgi_environ"), scope)
        await self.app(scope, receive, send)


def _hand_on(outer: Mapping[str, Any] | None, inner: MutableMapping[str, Any]) -> None:
    for key in _KEYS:
        if outer is not None and key in outer:
            inner[key] = outer[key]


def _wsgi(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return as much of an environ as a router needs."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope.get("headers", ())}
    host, port = scope.get("server") or ("localhost", 80)
    return {
        "REQUEST_METHOD": method_of(scope),
        "SCRIPT_NAME": scope.get("root_path", ""),
        "PATH_INFO": path_below(scope).encode().decode("latin-1"),
        "QUERY_STRING": "",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": headers.get("host", host),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(),
    }


def _asgi(environ: Mapping[str, Any]) -> dict[str, Any]:
    """Return as much of a scope as a router needs."""
    root_path = environ.get("SCRIPT_NAME", "")
    return {
        "type": "http",
        "method": method_of(environ),
        "scheme": environ.get("wsgi.url_scheme", "http"),
        "path": root_path + path_below(environ),
        "root_path": root_path,
        "query_string": b"",
        "headers": [(b"host", environ.get("HTTP_HOST", environ.get("SERVER_NAME", "localhost")).encode("latin-1"))],
    }
