"""The mounts of an app that is not measured, below which a measured app is: they are part of its routes.

A proxy or a server also sets `root_path`, and that is no part of a route. A mount of Starlette leaves more in the
scope: its router, the app that it calls as `endpoint`, and as `app_root_path` what was there before the first mount.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .starlette_routes import each_route, inner_routes, prefix_of

__all__ = ["outer_mounts"]

_MOST_CACHED = 64
# By the ids of the router and the endpoint, which are kept so that their ids stay theirs.
_chains: dict[tuple[int, int, int], tuple[Any, Any, list[list[Any]]]] = {}


def outer_mounts(scope: Mapping[str, Any]) -> str:
    """Return the templates of the mounts that have led to this scope, or "" if they can't be told.

    Args:
        scope: what the measured app was called with.
    """
    router, endpoint = scope.get("router"), scope.get("endpoint")
    if router is None or endpoint is None:
        return ""
    key = id(router), id(endpoint), len(router.routes)
    if key not in _chains:
        if len(_chains) >= _MOST_CACHED:
            _chains.clear()
        _chains[key] = router, endpoint, list(_leading_to(endpoint, router.routes))
    chains = _chains[key][2]
    # The same app may be mounted twice. Then the path decides, as it did for Starlette.
    chosen = chains[0] if len(chains) == 1 else next((chain for chain in chains if _matches(chain, scope)), [])
    return "".join(map(prefix_of, chosen))


def _leading_to(endpoint: Any, routes: Sequence[Any]) -> Iterator[list[Any]]:
    for route in each_route(routes):
        if hasattr(route, "routes"):
            if route.app is endpoint:
                yield [route]
            else:
                yield from ([route, *chain] for chain in _leading_to(endpoint, inner_routes(route)))


def _matches(chain: Sequence[Any], scope: Mapping[str, Any]) -> bool:
    below = {**scope, "root_path": scope["app_root_path"]}
    for mount in chain:
        match, child = mount.matches(below)
        if match.name != "FULL":
            return False
        below.update(child)
    return bool(below["root_path"] == scope["root_path"])
