"""Starlette and FastAPI: each route tells when it is chosen. The scope keeps only the last one, without its mounts."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from starlette._utils import is_async_callable
from starlette.exceptions import HTTPException, WebSocketException

from .facts import MOUNT_KEY, REQUEST_KEY, UNMATCHED, RequestFacts
from .hooks import hook
from .unfailing import unfailing
from .watch import is_known
from .watch import match as match_behind
from .watch import watch as watch_behind

__all__ = ["each_route", "inner_routes", "match", "prefix_of", "watch"]

Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Any, Any], Awaitable[None]]

# How Starlette and FastAPI themselves name what a mount has not matched.
_REST = "/{path}"
_MOST_WRAPPERS = 10
# Exceptions that stand for an answer.
_ANSWERS = (HTTPException, WebSocketException)


def watch(app: Any) -> None:
    """Hook a Starlette or FastAPI app, or a router that serves as an app."""
    if not hasattr(app, "build_middleware_stack"):
        hook(app, "middleware_stack", functools.partial(_entered, app))
        return
    # The stack is built at the first call. Until then the router and the handlers may change.
    hook(app, "build_middleware_stack", lambda build: functools.partial(_build, app, build))
    if app.middleware_stack is not None:
        watch(app.router)


def match(app: Any, scope: Mapping[str, Any]) -> str | None:
    """Return the template of the route that Starlette would choose."""
    # FastAPI's own `root_path` beats the server's.
    root_path = getattr(app, "root_path", "") or scope.get("root_path", "")
    return _chosen(app.routes, {**scope, "root_path": root_path})


def each_route(routes: Sequence[Any]) -> Iterator[Any]:
    """Give the routes with those of included routers, which newer FastAPI keeps as they were declared."""
    if not any(hasattr(route, "original_router") for route in routes):
        yield from routes
        return
    from fastapi.routing import iter_route_contexts

    yield from iter_route_contexts(routes)


def inner_routes(mount: Any) -> Sequence[Any]:
    """Return the routes of the app below a mount, also if it is wrapped."""
    app = mount.app
    for _ in range(_MOST_WRAPPERS):
        if hasattr(app, "routes"):
            routes: Sequence[Any] = app.routes
            return routes
        app = getattr(app, "app", None)
    return ()


def prefix_of(mount: Any) -> str:
    """Return the template of a mount; a host has none."""
    template: str = getattr(mount, "path_format", "")
    return template.removesuffix(_REST)


def _build(app: Any, build: Callable[[], ASGIApp]) -> ASGIApp:
    """Build the middleware around a hooked router, with exception handlers that tell what they answer."""
    watch(app.router)
    handlers = app.exception_handlers
    app.exception_handlers = {key: _telling(handler) for key, handler in handlers.items()}
    try:
        return build()
    finally:
        app.exception_handlers = handlers


def _telling(handler: Callable[..., Any]) -> Callable[..., Any]:
    @unfailing
    def tell(request: Any, error: Exception) -> None:
        facts = request.scope.get(REQUEST_KEY)
        if facts is not None and not isinstance(error, _ANSWERS):
            facts.error = error

    # Starlette calls handlers that are not coroutines in a thread.
    if is_async_callable(handler):

        async def handle_async(request: Any, error: Exception) -> Any:
            tell(request, error)
            return await handler(request, error)

        return handle_async

    def handle(request: Any, error: Exception) -> Any:
        tell(request, error)
        return handler(request, error)

    return handle


def _entered(router: Any, call: ASGIApp) -> ASGIApp:
    routers, hooked = [router], -1

    @unfailing
    def look() -> None:
        nonlocal routers, hooked
        if sum(len(each.routes) for each in routers) != hooked:  # a program may add routes at any time
            routers = list(_with_included(router))
            hooked = sum(len(each.routes) for each in routers)
            for each in routers:
                _hook_routes(each.routes)
                for group in getattr(each, "_low_priority_routes", ()):  # what `app.frontend` has added
                    hook(group, "handle", functools.partial(_fronting, group))

    async def enter(scope: Scope, receive: Any, send: Any) -> None:
        facts: RequestFacts | None = scope.get(REQUEST_KEY)
        if facts is None:
            await call(scope, receive, send)
            return
        look()
        facts.error = None
        facts.learn(scope, UNMATCHED)
        try:
            await call(scope, receive, send)
        except Exception as err:
            if not isinstance(err, _ANSWERS):
                facts.error = err  # middleware may answer it
            raise
        finally:
            facts.settle()

    return enter


def _with_included(router: Any) -> Iterator[Any]:
    yield router
    for route in router.routes:
        if hasattr(route, "original_router"):
            yield from _with_included(route.original_router)


def _hook_routes(routes: Sequence[Any]) -> None:
    for route in routes:
        if hasattr(route, "original_router"):
            hook(route, "handle", _including)
        elif hasattr(route, "routes") and hasattr(route, "app"):
            hook(route, "handle", functools.partial(_mounting, route))
            watch_behind(route.app)
        else:
            hook(route, "handle", functools.partial(_leading, route))


def _told_first(tell: Callable[[RequestFacts, Scope], None], handle: ASGIApp) -> ASGIApp:
    tell_safely = unfailing(tell)

    def told(scope: Scope, receive: Any, send: Any) -> Awaitable[None]:
        facts = scope.get(REQUEST_KEY)
        if facts is not None:
            tell_safely(facts, scope)
        return handle(scope, receive, send)

    return told


def _leading(route: Any, handle: ASGIApp) -> ASGIApp:
    def tell(facts: RequestFacts, scope: Scope) -> None:
        facts.learn(scope, _leaf(_effective(route, scope)))

    return _told_first(tell, handle)


def _including(handle: ASGIApp) -> ASGIApp:
    """Let an included router tell. Its routes are copies that only FastAPI knows, so the scope is asked later."""

    def tell(facts: RequestFacts, scope: Scope) -> None:
        facts.learn_later(functools.partial(_included, scope))

    return _told_first(tell, handle)


def _included(scope: Scope) -> Any:
    context = _context(scope)
    template = _leaf(getattr(context, "starlette_route", None) or context)
    return template if template == UNMATCHED else scope.get(MOUNT_KEY, "") + template


def _mounting(mount: Any, handle: ASGIApp) -> ASGIApp:
    knows = is_known(mount.app)

    def tell(facts: RequestFacts, scope: Scope) -> None:
        scope[MOUNT_KEY] = scope.get(MOUNT_KEY, "") + prefix_of(_effective(mount, scope))
        facts.learn(scope, _REST)
        if knows:  # it tells more, unless its own middleware answers
            facts.learn_later(functools.partial(_below, mount.app, scope))

    return _told_first(tell, handle)


def _fronting(group: Any, handle: ASGIApp) -> ASGIApp:
    from .request_path import path_below  # few apps need it, and each import is part of every cold start

    def tell(facts: RequestFacts, scope: Scope) -> None:
        context, path = _context(scope), path_below(scope)
        own = context is not None and context.original_route is group
        prefix = context.frontend_prefix.rstrip("/") if own else ""
        folders = [prefix + route.path.rstrip("/") for route in group.routes]
        matching = [folder for folder in folders if f"{path}/".startswith(f"{folder}/")]
        facts.learn(scope, max(matching, key=len) + _REST if matching else UNMATCHED)

    return _told_first(tell, handle)


def _below(app: Any, scope: Scope) -> str:
    template = match_behind(app, scope)
    return UNMATCHED if template is None else str(scope[MOUNT_KEY]) + template


def _context(scope: Mapping[str, Any]) -> Any:
    return scope.get("fastapi", {}).get("effective_route_context")


def _effective(route: Any, scope: Mapping[str, Any]) -> Any:
    """Return what has the route's path: the route, or FastAPI's copy of it with the prefixes of its routers."""
    context = _context(scope)
    if context is None or context.original_route is not route:
        return route
    return getattr(context, "starlette_route", None) or context


def _leaf(route: Any) -> str:
    template: str = getattr(route, "path_format", None) or getattr(route, "path", None) or UNMATCHED
    return template


def _chosen(routes: Sequence[Any], scope: Mapping[str, Any]) -> str | None:
    """Return the template of the route that Starlette chooses: the first full match, else the first partial one."""
    partial: tuple[Any, Mapping[str, Any]] | None = None
    for route in each_route(routes):
        match, child = route.matches(scope)
        if match.name == "FULL":
            return _template(route, {**scope, **child})
        if match.name == "PARTIAL" and partial is None:
            partial = route, child
    return _template(partial[0], {**scope, **partial[1]}) if partial else None


def _template(route: Any, scope: Mapping[str, Any]) -> str | None:
    if not hasattr(route, "routes"):
        return _leaf(route)
    inner = match_behind(route.app, scope) if is_known(route.app) else _REST
    return None if inner is None else prefix_of(route) + inner
