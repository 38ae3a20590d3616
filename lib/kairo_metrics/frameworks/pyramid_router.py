"""Pyramid: its request has the matched route, and the exception that an exception view has answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyramid.interfaces import IExceptionResponse

from .facts import REQUEST_KEY
from .hooks import hook, unfailing

__all__ = ["match", "watch"]


def watch(router: Any) -> None:
    """Hook the router that `make_wsgi_app` has made."""
    hook(router, "handle_request", _handling)


def match(router: Any, environ: Mapping[str, Any]) -> str | None:
    """Return the pattern that Pyramid would choose."""
    if router.routes_mapper is None:
        return None
    asked = router.request_factory(dict(environ))
    asked.registry = router.registry
    route = router.routes_mapper(asked)["route"]
    return None if route is None else _template(route)


def _handling(handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def tell(request: Any) -> Any:
        try:
            return handle(request)
        finally:
            _tell(request)

    return tell


@unfailing
def _tell(request: Any) -> None:
    facts = request.environ.get(REQUEST_KEY)
    if facts is None:
        return
    route = getattr(request, "matched_route", None)
    if route is not None:
        facts.learn(request.environ, _template(route))
    error = getattr(request, "exception", None)
    if isinstance(error, Exception) and not IExceptionResponse.providedBy(error):
        facts.error = error


def _template(route: Any) -> str:
    pattern: str = route.pattern
    return pattern if pattern.startswith("/") else f"/{pattern}"
