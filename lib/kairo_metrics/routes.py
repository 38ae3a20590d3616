"""The route template of a request: what a path was matched against, never the path itself.

A path is the client's to choose, so it must not become a label value. After the app has run, its
framework has left what it matched in the scope; each framework leaves something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["UNMATCHED", "route_template"]

UNMATCHED = "__unmatched__"


def route_template(app: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the template that the request was routed by, mounts included, or `UNMATCHED`.

    Args:
        app: the ASGI app that was called.
        before: a copy of the scope made before the call.
        after: the scope that was handed to the app, as it left it.

    Example:
        >>> route_template(None, {}, {"path_template": "/items/{id}"})
        '/items/{id}'
    """
    if "path_template" in after:  # Litestar
        return after["path_template"] or UNMATCHED
    if hasattr(app, "url_map"):  # Quart
        return _werkzeug_template(app.url_map, before)
    leaf = _leaf(after)
    if after.get("root_path", "") == before.get("root_path", ""):
        return leaf or UNMATCHED
    # Mounts have eaten the path's beginning; their templates are found by asking them again.
    prefix, opaque = _mounts(getattr(after.get("router"), "routes", ()), before)
    if opaque:
        return f"{prefix}/{{path}}"
    return prefix + leaf if leaf else UNMATCHED


def _leaf(scope: Mapping[str, Any]) -> str | None:
    """Return the innermost route's own template: Starlette's, or FastAPI's with its routers' prefixes."""
    context = scope.get("fastapi", {}).get("effective_route_context")
    route = scope.get("route") if context is None else context
    if route is None or hasattr(route, "routes"):  # a mount or host whose inner router matched nothing
        return None
    return getattr(route, "path_format", None) or getattr(route, "path", None)


def _mounts(routes: Sequence[Any], scope: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the joined templates of the mounts on the way, and whether the last one holds an opaque app."""
    for route in routes:
        match, child = route.matches(scope)
        if not match.value:
            continue
        if not hasattr(route, "routes"):
            return "", False
        inner, opaque = _mounts(route.routes or (), {**scope, **child})
        return getattr(route, "path", "") + inner, opaque or not route.routes
    return "", False


def _werkzeug_template(url_map: Any, scope: Mapping[str, Any]) -> str:
    from werkzeug.exceptions import HTTPException, MethodNotAllowed
    from werkzeug.routing import RequestRedirect

    adapter = url_map.bind("localhost")
    try:
        rule, _ = adapter.match(scope["path"], method=scope["method"], return_rule=True)
    except MethodNotAllowed as err:
        rule, _ = adapter.match(scope["path"], method=next(iter(err.valid_methods or ["GET"])), return_rule=True)
    except (HTTPException, RequestRedirect):
        return UNMATCHED
    template: str = rule.rule
    return template
