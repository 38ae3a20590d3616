"""A Pyramid app with the routes of `framework_apps`."""

from __future__ import annotations

import warnings
from typing import Any

with warnings.catch_warnings():
    # Pyramid imports `cgi` and `pkg_resources`, which Python and setuptools are about to drop.
    warnings.simplefilter("ignore")
    from pyramid.config import Configurator
    from pyramid.httpexceptions import HTTPServiceUnavailable
    from pyramid.response import Response

from lib.kairo_metrics.frameworks.request_route import request_route

__all__ = ["pyramid_app", "rejecting", "traversal_app"]


def rejecting(handler: Any, _registry: Any) -> Any:
    """Answer 401 before the route is matched."""

    def tween(request: Any) -> Any:
        return Response("no", status=401) if "X-Reject" in request.headers else handler(request)

    return tween


def traversal_app() -> Any:
    with Configurator() as config:
        config.add_view(lambda _request: Response("fine"))
        return config.make_wsgi_app()


def pyramid_app(**settings: Any) -> Any:
    def fine(_request: Any) -> Any:
        return Response("fine")

    def broken(request: Any) -> Any:
        raise LookupError(request.url)

    def handled(_request: Any) -> Any:
        raise KeyError("on purpose")

    def answer(_error: Exception, _request: Any) -> Any:
        return Response("sorry", status=500)

    def unavailable(_request: Any) -> Any:
        raise HTTPServiceUnavailable

    def named(request: Any) -> Any:
        request_route(request, "/named/{by}/code")
        return Response("fine")

    def version(config: Any) -> None:
        config.add_route("v1.item", "/items/{item}")
        config.add_view(fine, route_name="v1.item")

    with Configurator(settings=settings) as config:
        views = {"/items/{item}": fine, "/broken/{item}": broken, "/handled": handled}
        for pattern, view in {**views, "/unavailable": unavailable, "/named": named}.items():
            config.add_route(pattern, pattern)
            config.add_view(view, route_name=pattern)
        config.add_route("posted", "posted")
        config.add_view(fine, route_name="posted", request_method="POST")
        config.add_static_view("static", "tests:support")
        config.include(version, route_prefix="/api/v1")
        config.add_exception_view(answer, context=KeyError)
        return config.make_wsgi_app()
