"""The route label of a request: the template that its path matched, never the path itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .facts import UNMATCHED, RequestFacts
from .hooks import unfailing
from .watch import match

__all__ = ["UNMATCHED", "Route"]


class Route:
    """The route of one request, looked up when it is asked for: its template with those of its mounts, or `UNMATCHED`.

    What the framework has told comes first. An answer that middleware gave needs a look into the app's own router.
    It is an object and no closure: under load, hundreds wait, and for the garbage collector a closure is six objects.

    Args:
        app: the app that was called; `watch` has hooked it.
        facts: those of the request.
        before: a copy of the ASGI scope, or of what others may change in a WSGI environ, made before the call.
        after: the scope or environ that the app was called with.

    Example:
        >>> facts = RequestFacts()
        >>> facts.learn({}, "/items/{id}")
        >>> Route(None, facts, {}, {})()
        '/items/{id}'
    """

    __slots__ = ("_after", "_app", "_before", "_facts")

    def __init__(self, app: Any, facts: RequestFacts, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        self._app = app
        self._facts = facts
        self._before = before
        self._after = after

    def __call__(self) -> str:
        """Return it as it is known now."""
        told = self._facts.route
        if told and "app_root_path" not in self._before:  # as of nearly all requests
            return told
        return _looked_up(self._app, self._facts, self._before, self._after) or UNMATCHED


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
    route = after.get("route") if "type" in before else None
    if route is None or route is before.get("route") or after.get("root_path") != before.get("root_path"):
        return None
    from .starlette_templates import effective, leaf

    template = leaf(effective(route, after))
    return template if isinstance(template, str) else None


def _unrouted(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the scope as the router would have got it: middleware may have set `root_path` or `path`."""
    if "type" not in before:  # WSGI
        return {**after, **before}
    return after if after.get("router") is before.get("router") else before
