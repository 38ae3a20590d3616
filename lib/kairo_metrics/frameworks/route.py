"""The route label of a request: the template that its path matched, never the path itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .facts import UNMATCHED, RequestFacts
from .hooks import unfailing
from .watch import match

__all__ = ["UNMATCHED", "route_of"]


def route_of(app: Any, facts: RequestFacts, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the template of the request's route, with those of its mounts, or `UNMATCHED`.

    What the framework has told comes first. An answer that middleware gave needs a look into the app's own router.

    Args:
        app: the app that was called; `watch` has hooked it.
        facts: those of the request.
        before: a copy of the ASGI scope or the WSGI environ, made before the call.
        after: the scope or environ that the app was called with.

    Example:
        >>> facts = RequestFacts()
        >>> facts.learn({}, "/items/{id}")
        >>> route_of(None, facts, {}, {})
        '/items/{id}'
    """
    if facts.route is not None and "app_root_path" not in before:  # as of nearly all requests
        return facts.route
    return _looked_up(app, facts, before, after) or UNMATCHED


@unfailing
def _looked_up(app: Any, facts: RequestFacts, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    route = facts.peek()
    if route is None:
        route = _left_behind(before, after) or match(app, _unrouted(before, after)) or UNMATCHED
    if route != UNMATCHED and "app_root_path" in before and not facts.is_named:
        from .outer_mounts import outer_mounts

        route = outer_mounts(before) + route
    return route


def _left_behind(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """Return the template that a framework unknown to this room, but built like Starlette, has left in the scope."""
    route = after.get("route")
    if route is None or route is before.get("route") or after.get("root_path") != before.get("root_path"):
        return None
    from .starlette_templates import effective, leaf

    template = leaf(effective(route, after))
    return template if isinstance(template, str) else None


def _unrouted(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the scope as the router would have got it: middleware may have set `root_path` or `path`."""
    is_asgi = "type" in before
    return after if is_asgi and after.get("router") is before.get("router") else before
