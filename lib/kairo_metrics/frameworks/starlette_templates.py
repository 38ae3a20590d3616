"""Where the routes of Starlette and FastAPI have their templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .facts import UNMATCHED, RequestFacts

__all__ = ["as_asked", "context_of", "effective", "leaf"]


def context_of(scope: Mapping[str, Any]) -> Any:
    """Return FastAPI's copy of the route that it has chosen, with the prefixes of its routers; None if there is none.

    Args:
        scope: the ASGI scope, in which FastAPI leaves it.
    """
    return scope.get("fastapi", {}).get("effective_route_context")


def effective(route: Any, scope: Mapping[str, Any]) -> Any:
    """Return what has the whole path of a route: the route itself, or FastAPI's copy of it."""
    context = context_of(scope)
    if context is None or context.original_route is not route:
        return route
    return getattr(context, "starlette_route", None) or context


def as_asked(route: Any, facts: RequestFacts) -> Any:
    """Return the template of a route; as the program has written it, with its convertors, if other names ask for it."""
    return (None if facts.told is None else getattr(route, "path", None)) or leaf(route)


def leaf(route: Any) -> Any:
    """Return the template of a route or of a copy; `UNMATCHED` if it has none."""
    return getattr(route, "path_format", None) or getattr(route, "path", None) or UNMATCHED
