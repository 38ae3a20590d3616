"""Starlette and FastAPI: each route tells when it is chosen. The scope keeps only the last one, without its mounts."""

from __future__ import annotations

import functools
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from operator import attrgetter
from typing import Any

from starlette._utils import is_async_callable
from starlette.exceptions import HTTPException, WebSocketException

from .facts import MOUNT_KEY, REQUEST_KEY, UNMATCHED, RequestFacts
from .hooks import hook, unfailing
from .starlette_templates import as_asked, context_of, effective
from .watch import watch as watch_behind

__all__ = ["match", "watch"]

Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Any, Any], Awaitable[None]]

# Exceptions that stand for an answer.
_ANSWERS = (HTTPException, WebSocketException)
# Their answers come from outside of all middleware, and Starlette raises the exception again.
_LAST_HANDLERS = (500, Exception)
# Threads that serve an app's first requests each build its middleware, for which its handlers are exchanged.
_BUILDING = threading.RLock()
_ROUTES = attrgetter("routes")


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
    from .starlette_routes import template_in  # needed for what middleware has answered

    return template_in(app, scope)


def _build(app: Any, build: Callable[[], ASGIApp]) -> ASGIApp:
    """Build the middleware around a hooked router, with exception handlers that tell what they answer."""
    watch(app.router)
    with _BUILDING:
        handlers = app.exception_handlers
        app.exception_handlers = {
            key: _telling(handler, is_last=key in _LAST_HANDLERS) for key, handler in handlers.items()
        }
        try:
            return build()
        finally:
            app.exception_handlers = handlers


def _telling(handler: Callable[..., Any], *, is_last: bool) -> Callable[..., Any]:
    @unfailing
    def tell(request: Any, error: Exception) -> None:
        facts = request.scope.get(REQUEST_KEY)
        if facts is not None and not isinstance(error, _ANSWERS):
            facts.error = error
            if facts.told is not None and not is_last:
                facts.told.pop("unhandled", None)

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
        if sum(map(len, map(_ROUTES, routers))) == hooked:
            return
        # A program may add routes at any time, and other threads may serve meanwhile: those look as well until all
        # routes are hooked.
        found = list(_with_included(router))
        count = sum(map(len, map(_ROUTES, found)))
        for each in found:
            _hook_routes(each.routes)
            for group in getattr(each, "_low_priority_routes", ()):  # what `app.frontend` has added
                from .starlette_routes import telling_frontend

                _hook_route(group, telling_frontend)
        routers, hooked = found, count

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
                if facts.told is not None:
                    facts.told["unhandled"] = ""
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
            _hook_route(route, _telling_later)
        elif hasattr(route, "routes") and hasattr(route, "app"):
            from .starlette_routes import telling_mount  # few apps have mounts, and an import is part of a cold start

            _hook_route(route, telling_mount)
            watch_behind(route.app)
        else:
            _hook_route(route, _telling_template)


def _hook_route(route: Any, telling: Callable[[Any], Callable[[RequestFacts, Scope], None]]) -> None:
    """Let a route tell what it is before it handles a request."""

    def told_first(handle: ASGIApp) -> ASGIApp:
        tell = unfailing(telling(route))

        def told(scope: Scope, receive: Any, send: Any) -> Awaitable[None]:
            facts = scope.get(REQUEST_KEY)
            if facts is not None:
                tell(facts, scope)
            return handle(scope, receive, send)

        return told

    hook(route, "handle", told_first)


def _telling_template(route: Any) -> Callable[[RequestFacts, Scope], None]:
    def tell(facts: RequestFacts, scope: Scope) -> None:
        chosen = effective(route, scope) if "fastapi" in scope else route
        facts.learn(scope, as_asked(chosen, facts))

    return tell


def _telling_later(_included_router: Any) -> Callable[[RequestFacts, Scope], None]:
    """Let an included router tell. Its routes are copies that only FastAPI knows, so the scope is asked later."""

    def tell(facts: RequestFacts, scope: Scope) -> None:
        facts.learn_later(functools.partial(_included, facts, scope))

    return tell


def _included(facts: RequestFacts, scope: Scope) -> Any:
    context = context_of(scope)
    template = as_asked(getattr(context, "starlette_route", None) or context, facts)
    return template if template == UNMATCHED else scope.get(MOUNT_KEY, "") + template
