"""Litestar: its router leaves the template in the scope."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from litestar.exceptions import HTTPException, MethodNotAllowedException
from litestar.utils import normalize_path

from .facts import MOUNT_KEY, REQUEST_KEY
from .hooks import hook
from .request_path import method_of, path_below

__all__ = ["match", "watch"]

Scope = MutableMapping[str, Any]


def watch(app: Any) -> None:
    """Hook a Litestar app."""
    if hook(app, "asgi_handler", _entered):
        app.after_exception.append(_failed)


def match(app: Any, scope: Mapping[str, Any]) -> str | None:
    """Return the template that Litestar would choose."""
    path = normalize_path(path_below(scope))
    method = method_of(scope) if scope["type"] == "http" else None
    try:
        found = app.asgi_router.handle_routing(path=path, method=method)
    except MethodNotAllowedException as err:
        allowed = (err.headers or {}).get("allow", "GET").partition(",")[0]
        found = app.asgi_router.handle_routing(path=path, method=allowed)
    except HTTPException:
        return None
    _, handler, _, _, template = found
    return _template(app, handler, template, path)


def _entered(call: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def enter(scope: Scope, receive: Any, send: Any) -> None:
        facts = scope.get(REQUEST_KEY)
        if facts is None:
            await call(scope, receive, send)
            return
        path = normalize_path(path_below(scope))  # below a mount of Litestar's own, the scope loses it
        facts.learn_later(functools.partial(_told, scope, path))
        try:
            await call(scope, receive, send)
        finally:
            facts.settle()

    return enter


def _told(scope: Scope, path: str) -> str | None:
    if "path_template" not in scope:  # not found, or answered before Litestar's router
        return None
    template = _template(scope["litestar_app"], scope["route_handler"], scope["path_template"], path)
    return None if template is None else scope.get(MOUNT_KEY, "") + template


def _template(app: Any, handler: Any, template: str, path: str) -> str | None:
    """Return a route's template. A mounted ASGI app has none of its own, so it gets the path of the mount."""
    if template:
        return template
    index = app.get_handler_index_by_name(handler.name or str(handler))
    mounts = [mount for mount in index["paths"] if f"{path}/".startswith(f"{mount.rstrip('/')}/")] if index else []
    return f"{max(mounts, key=len).rstrip('/')}/{{path}}" if mounts else None


async def _failed(error: Exception, scope: Scope) -> None:
    facts = scope.get(REQUEST_KEY)
    if facts is not None and not isinstance(error, HTTPException):
        facts.error = error
