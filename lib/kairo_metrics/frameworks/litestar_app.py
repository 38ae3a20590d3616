"""Litestar: its router leaves the template in the scope."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from litestar.exceptions import HTTPException, MethodNotAllowedException
from litestar.utils import normalize_path

from .facts import MOUNT_KEY, REQUEST_KEY, RequestFacts
from .hooks import hook, unfailing
from .request_path import method_of, path_below
from .watch import is_known
from .watch import watch as watch_behind

__all__ = ["match", "watch"]

Scope = MutableMapping[str, Any]

_REST = "/{path}"


def watch(app: Any) -> None:
    """Hook a Litestar app, and what it mounts."""
    if hook(app, "asgi_handler", _entered):
        app.after_exception.append(_failed)
    for route in app.routes:
        handler: Any = getattr(route, "route_handler", None)
        if getattr(handler, "is_mount", False) and is_known(handler.fn):
            watch_behind(handler.fn)
            hook(handler, "_fn", _mounting)  # `fn` can only be read


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
    return _template(app, found[-1], path)


def _entered(call: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def enter(scope: Scope, receive: Any, send: Any) -> None:
        facts = scope.get(REQUEST_KEY)
        if facts is None:
            await call(scope, receive, send)
            return
        _ask_later(facts, scope)
        try:
            await call(scope, receive, send)
        finally:
            facts.settle()

    return enter


@unfailing
def _ask_later(facts: RequestFacts, scope: Scope) -> None:
    path = normalize_path(path_below(scope))  # below a mount of Litestar's own, the scope loses it
    facts.learn_later(functools.partial(_told, scope, path))


def _mounting(call: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def mounted(scope: Scope, receive: Any, send: Any) -> None:
        facts = scope.get(REQUEST_KEY)
        if facts is not None:
            _tell_mount(facts, scope)
        await call(scope=scope, receive=receive, send=send)

    return mounted


@unfailing
def _tell_mount(facts: RequestFacts, scope: Scope) -> None:
    scope[MOUNT_KEY] = (facts.peek() or "").removesuffix(_REST)


def _told(scope: Scope, path: str) -> str | None:
    if "path_template" not in scope:  # not found, or answered before Litestar's router
        return None
    template = _template(scope["litestar_app"], scope["path_template"], path)
    return None if template is None else scope.get(MOUNT_KEY, "") + template


def _template(app: Any, template: str, path: str) -> str | None:
    """Return a route's template. A mounted ASGI app has none of its own, so it gets the path of the mount."""
    if template:
        return template
    paths = app.asgi_router._mount_routes  # noqa: SLF001  the handler's name does not always lead to its paths
    mounts = [mount.rstrip("/") for mount in paths if f"{path}/".startswith(f"{mount.rstrip('/')}/")]
    return max(mounts, key=len) + _REST if mounts else None


async def _failed(error: Exception, scope: Scope) -> None:
    facts = scope.get(REQUEST_KEY)
    if facts is not None and not isinstance(error, HTTPException):
        facts.error = error
