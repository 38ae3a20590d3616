"""The routes of Starlette and FastAPI that few requests need: mounts, and what middleware has answered."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from .facts import MOUNT_KEY, UNMATCHED, RequestFacts
from .request_path import path_below
from .starlette_templates import context_of, effective, leaf
from .watch import is_known, match

__all__ = ["each_route", "inner_routes", "prefix_of", "telling_frontend", "telling_mount", "template_in"]

Scope = MutableMapping[str, Any]
Tell = Callable[[RequestFacts, Scope], None]

# How Starlette and FastAPI themselves name what a mount has not matched.
_REST = "/{path}"
_MOST_WRAPPERS = 10


def template_in(app: Any, scope: Mapping[str, Any]) -> str | None:
    """Return the template of the route that an app would choose.

    Args:
        app: a Starlette or FastAPI app, or a router.
        scope: what it would be called with.
    """
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


def _as_asked(mount: Any, facts: RequestFacts) -> str:
    return prefix_of(mount) if facts.told is None else getattr(mount, "path", "")


def prefix_of(mount: Any) -> str:
    """Return the template of a mount; a host has none."""
    template: str = getattr(mount, "path_format", "")
    return template.removesuffix(_REST)


def telling_mount(mount: Any) -> Tell:
    """Return what tells that a mount is chosen."""
    knows = is_known(mount.app)

    def tell(facts: RequestFacts, scope: Scope) -> None:
        scope[MOUNT_KEY] = scope.get(MOUNT_KEY, "") + _as_asked(effective(mount, scope), facts)
        facts.learn(scope, _REST if facts.told is None else "")  # the libraries name the mount alone
        if knows:  # it tells more, unless its own middleware answers
            facts.learn_later(functools.partial(_below, mount.app, scope))

    return tell


def telling_frontend(group: Any) -> Tell:
    """Return what tells that one of the folders of `app.frontend` is chosen."""

    def tell(facts: RequestFacts, scope: Scope) -> None:
        context, path = context_of(scope), path_below(scope)
        own = context is not None and context.original_route is group
        prefix = context.frontend_prefix.rstrip("/") if own else ""
        folders = [prefix + route.path.rstrip("/") for route in group.routes]
        matching = [folder for folder in folders if f"{path}/".startswith(f"{folder}/")]
        facts.learn(scope, max(matching, key=len) + _REST if matching else UNMATCHED)

    return tell


def _below(app: Any, scope: Scope) -> str:
    template = match(app, scope)
    return UNMATCHED if template is None else str(scope[MOUNT_KEY]) + template


def _chosen(routes: Sequence[Any], scope: Mapping[str, Any]) -> str | None:
    """Return the template of the route that Starlette chooses: the first full match, else the first partial one."""
    partial: tuple[Any, Mapping[str, Any]] | None = None
    for route in each_route(routes):
        matched, child = route.matches(scope)
        if matched.name == "FULL":
            return _template(route, {**scope, **child})
        if matched.name == "PARTIAL" and partial is None:
            partial = route, child
    return _template(partial[0], {**scope, **partial[1]}) if partial else None


def _template(route: Any, scope: Mapping[str, Any]) -> str | None:
    if not hasattr(route, "routes"):
        return str(leaf(route))
    inner = match(route.app, scope) if is_known(route.app) else _REST
    return None if inner is None else prefix_of(route) + inner
