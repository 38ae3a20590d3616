"""The route template of a request: the pattern that its path matched, never the path itself.

A client can choose any path, so a path must not become a label value. The framework puts what it has matched into the
scope; each framework does that in its own way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["UNMATCHED", "route_template"]

UNMATCHED = "__unmatched__"


def route_template(app: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the template of the request's route, with those of its mounts, or `UNMATCHED`.

    Args:
        app: the ASGI app that was called.
        before: a copy of the scope made before the call.
        after: the scope that the app was called with, after the call.

    Example:
        >>> route_template(None, {}, {"path_template": "/items/{id}"})
        '/items/{id}'
    """
    if "path_template" in after:  # Litestar
        return after["path_template"] or UNMATCHED
    if hasattr(app, "url_map"):  # Quart
        return _werkzeug_template(app.url_map, before)
    route = after.get("route")
    if route is not None and not _is_mount(route) and after.get("root_path") == before.get("root_path"):
        return _leaf(route, after)
    # A mount has taken the beginning of the path away, or Starlette is older than 1.9: the routes are matched again.
    return _walk(getattr(after.get("router"), "routes", ()), before, after) or UNMATCHED


def _walk(routes: Sequence[Any], scope: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """Return the template of the route that Starlette chooses: the first full match, else the first partial one."""
    partial: tuple[Any, Mapping[str, Any]] | None = None
    for route in routes:
        match, child = route.matches(scope)
        if match.name == "FULL":
            return _template(route, {**scope, **child}, after)
        if match.name == "PARTIAL" and partial is None:
            partial = route, child
    return _template(partial[0], {**scope, **partial[1]}, after) if partial else None


def _template(route: Any, scope: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    if not _is_mount(route):
        return _leaf(route, after)
    prefix = getattr(route, "path", "")  # a host has none
    if not route.routes:
        return f"{prefix}/{{path}}"  # an app without routes, such as static files
    inner = _walk(route.routes, scope, after)
    return None if inner is None else prefix + inner


def _leaf(route: Any, after: Mapping[str, Any]) -> str:
    """Return a route's own template; FastAPI has it with the prefixes of included routers."""
    included = after.get("fastapi", {}).get("effective_route_context")
    template: str = getattr(route if included is None else included, "path_format", UNMATCHED)
    return template


def _is_mount(route: Any) -> bool:
    return hasattr(route, "routes")


def _werkzeug_template(url_map: Any, scope: Mapping[str, Any]) -> str:
    from werkzeug.exceptions import HTTPException, MethodNotAllowed
    from werkzeug.routing import RequestRedirect

    adapter = url_map.bind("localhost")
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    try:
        rule, _ = adapter.match(path, method=scope["method"], return_rule=True)
    except MethodNotAllowed as err:
        rule, _ = adapter.match(path, method=next(iter(err.valid_methods or ["GET"])), return_rule=True)
    except (HTTPException, RequestRedirect):
        return UNMATCHED
    template: str = rule.rule
    return template


def route_of(app: Any, facts: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Shim"""
    if facts.route is not None:
        return facts.route
    try:
        return route_template(app, before, after)
    except Exception:
        return UNMATCHED
