"""What is hooked in Starlette and FastAPI: exceptions that middleware answers, costs, and threads."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, Router

from lib.kairo_metrics.frameworks import starlette_app as starlette_app_module
from lib.kairo_metrics.frameworks.watch import watch
from tests.support.framework_apps import fastapi_app, starlette_app
from tests.support.nested_app import Copying, fine, nested, opaque
from tests.support.route_probe import ASGIProbe, Asked, ask


async def test_an_exception_that_middleware_answers() -> None:
    """The class of an exception is known where the app's middleware turns it into a 500."""

    class Answering(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            try:
                return await call_next(request)  # type: ignore[no-any-return]
            except LookupError:
                return PlainTextResponse("sorry", 500)

    for build in (starlette_app, fastapi_app):
        probe = ASGIProbe(build(middleware=[Middleware(Answering)]))
        assert await ask(probe, "/broken/3") == Asked(500, "/broken/{item}", "LookupError")
        assert await ask(probe, "/items/3") == Asked(200, "/items/{item}")


async def test_an_exception_before_the_routing() -> None:
    """An exception of middleware that runs before the router, and a limit that answers 429, have the route."""

    class Failing(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            if "X-Break" in request.headers:
                raise BufferError
            return PlainTextResponse("slower", 429) if call_next else PlainTextResponse("")

    probe = ASGIProbe(fastapi_app(middleware=[Middleware(Failing)]))
    assert await ask(probe, "/api/v1/items/3") == Asked(429, "/api/v1/items/{item}")
    assert await ask(probe, "/sites/acme/pages/3") == Asked(429, "/sites/{site}/pages/{page}")
    asked = await ask(probe, "/api/v1/items/3", headers={"X-Break": "1"})
    assert asked == Asked(500, "/api/v1/items/{item}", "BufferError")


async def test_a_retried_request_has_no_error() -> None:
    """Middleware that calls the app again after an exception leaves no error behind."""
    tries = []

    async def flaky(_request: Request) -> Response:
        tries.append(1)
        if len(tries) == 1:
            raise LookupError
        return PlainTextResponse("fine")

    class Retrying(Copying):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            try:
                await self.app(dict(scope), receive, send)
            except LookupError:
                await self.app(dict(scope), receive, send)

    probe = ASGIProbe(Starlette(routes=[Mount("/in", app=Retrying(Router([Route("/flaky", flaky)])))]))
    assert await ask(probe, "/in/flaky") == Asked(200, "/in/flaky")


async def test_no_route_is_matched_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request asks each route once, as it would without metrics, also below mounts and in included routers."""
    asked = []
    for kind in (Route, Mount):
        own = kind.matches

        def counting(self: Any, scope: Any, own: Any = own) -> Any:
            asked.append(self)
            return own(self, scope)

        monkeypatch.setattr(kind, "matches", counting)

    async def cost(app: Any, path: str) -> int:
        asked.clear()
        await ask(probe, path, through=app)
        return len(asked)

    for build, paths in [
        (nested, ("/a/1", "/m/acme/deep/z/1", "/static/x")),
        (fastapi_app, ("/items/3", "/api/v1/items/3", "/sites/acme/pages/3")),
    ]:
        probe = ASGIProbe(build())
        for path in paths:
            await ask(probe, path)
            assert await cost(probe, path) == await cost(probe.app, path)


def test_threads_that_instrument_one_app_hook_it_once() -> None:
    """Eight threads that instrument an app, and serve its first requests, count one prefix, not eight."""
    app = nested()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(watch, [app] * 8))

    def serve(_number: int) -> str:
        probe = ASGIProbe(app)
        return asyncio.run(ask(probe, "/m/acme/deep/z/1")).route

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(serve, range(8))) == {"/m/{tenant}/deep/z/{q}"}


async def test_a_thread_that_comes_while_another_hooks_the_routes_has_its_route(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the first requests of an app the second one has its route, though the first still looks at the routes."""
    begun, answered = threading.Event(), threading.Event()
    own = starlette_app_module._hook_routes

    def hook_slowly(routes: Any) -> None:
        if not begun.is_set():
            begun.set()
            assert answered.wait(30)
        own(routes)

    monkeypatch.setattr(starlette_app_module, "_hook_routes", hook_slowly)
    app = nested()
    watch(app)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(lambda: asyncio.run(ask(ASGIProbe(app), "/a/1")))
        assert begun.wait(30)
        assert (await ask(ASGIProbe(app), "/a/1")).route == "/a/{id}"
        answered.set()
        assert first.result(30).route == "/a/{id}"


async def test_an_app_that_was_not_called_is_not_asked() -> None:
    """An app that the answering app only holds is never asked for the route."""

    class Choosing:
        def __init__(self, first: Any, second: Any) -> None:
            self.first, self.second = first, second

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await (self.first if "first" in scope["path"] else opaque)(scope, receive, send)

    first = Starlette(routes=[Route("/first/{id}", fine)])
    second = Starlette(routes=[Route("/{anything}/{at_all}", fine)])
    probe = ASGIProbe(Choosing(first, second))
    assert await ask(probe, "/first/1") == Asked(200, "/first/{id}")
    assert await ask(probe, "/other/1") == Asked(200, "__unmatched__")
