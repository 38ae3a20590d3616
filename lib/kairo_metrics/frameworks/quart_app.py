"""Quart: its request has the URL rule, as in Flask, and the scope."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from quart import has_request_context, request, websocket

from .hooks import hook, unfailing
from .request_path import method_of, path_below
from .watch import watch as watch_behind
from .werkzeug_rules import match_wrapped, tell_error, tell_rule, template_of

__all__ = ["match", "watch"]


def watch(app: Any) -> None:
    """Hook a Quart app. Middleware around its `asgi_app` may copy the scope."""
    if hook(app, "full_dispatch_request", functools.partial(_dispatching, app)):
        hook(app, "full_dispatch_websocket", functools.partial(_dispatching, app))
        for name in ("handle_user_exception", "handle_exception", "handle_websocket_exception"):
            hook(app, name, _failing)
        watch_behind(vars(app).get("asgi_app"))


def match(app: Any, scope: Mapping[str, Any]) -> str | None:
    """Return the rule that Quart would choose."""
    return match_wrapped(vars(app).get("asgi_app"), scope, functools.partial(_chosen, app))


def _chosen(app: Any, scope: Mapping[str, Any]) -> str | None:
    host = next((value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"), "localhost")
    adapter = app.url_map.bind(
        host,
        subdomain=None if app.url_map.host_matching else app.url_map.default_subdomain,
        url_scheme=scope.get("scheme", "http"),
        default_method=method_of(scope),
        path_info=path_below(scope),
    )
    return template_of(adapter, websocket=scope["type"] == "websocket")


def _current() -> Any:
    return request if has_request_context() else websocket


@unfailing
def _tell_rule(app: Any) -> None:
    current = _current()
    tell_rule(app, current, current.scope)


@unfailing
def _tell_error(error: Exception) -> None:
    tell_error(error, _current().scope)


def _dispatching(app: Any, dispatch: Callable[..., Any]) -> Callable[..., Any]:
    def tell(*arguments: Any) -> Any:
        _tell_rule(app)
        return dispatch(*arguments)

    return tell


def _failing(handle: Callable[..., Any]) -> Callable[..., Any]:
    def tell(*arguments: Any) -> Any:  # Quart 0.23 gives a context before the exception
        _tell_error(arguments[-1])
        return handle(*arguments)

    return tell
