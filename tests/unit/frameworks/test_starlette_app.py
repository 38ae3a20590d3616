"""Routes of Starlette and FastAPI, in every way that these can be put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Host, Match, Mount, Route, Router

from tests.support.fastapi_versions import keeps_routers
from tests.support.framework_apps import fastapi_app, flask_app, starlette_app
from tests.support.nested_app import ANY_ORIGIN, Copying, fine, nested, opaque
from tests.support.route_probe import ASGIProbe, Asked, ask, connect

PREFLIGHT = {"Origin": "http://other.example", "Access-Control-Request-Method": "GET"}


class Prefixed:
    """Middleware that sets `root_path`, as a proxy's header says."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["root_path"] = "/svc"
        await self.app(scope, receive, send)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/a/1", Asked(200, "/a/{id}")),
        ("DELETE", "/a/1", Asked(405, "/a/{id}")),
        ("GET", "/a/x", Asked(404, "__unmatched__")),
        ("GET", "/m/acme/b", Asked(200, "/m/{tenant}/b")),
        ("GET", "/m/acme/deep/z/1", Asked(200, "/m/{tenant}/deep/z/{q}")),
        ("GET", "/m/acme/deep/nothing", Asked(404, "__unmatched__")),
        ("GET", "/m/acme/b/", Asked(307, "__unmatched__")),
        ("GET", "/static/logo.png", Asked(200, "/static/{path}")),
        ("GET", "/nothing", Asked(404, "__unmatched__")),
    ],
)
async def test_routes_below_mounts_and_middleware(method: str, path: str, expected: Asked) -> None:
    """A route has the templates of its mounts, whatever middleware of the apps hands on copies of the scope."""
    assert await ask(ASGIProbe(nested()), path, method) == expected


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/a/1", "/a/{id}"),
        ("/m/acme/deep/z/1", "/m/{tenant}/deep/z/{q}"),
        ("/static/x", "/static/{path}"),
        ("/nothing", "__unmatched__"),
    ],
)
async def test_a_preflight_has_the_route_that_it_asks_for(path: str, route: str) -> None:
    """Middleware answers a CORS preflight before any router; it is counted under the route of its path."""
    assert await ask(ASGIProbe(nested()), path, "OPTIONS", headers=PREFLIGHT) == Asked(200, route)


async def test_middleware_of_a_mounted_app_may_answer() -> None:
    """What middleware of a mounted app answers has that app's route, with the mount's template."""
    deep = Starlette(routes=[Route("/z/{q}", fine)], middleware=[ANY_ORIGIN])
    probe = ASGIProbe(Starlette(routes=[Mount("/m/{tenant}", app=deep)]))
    assert await ask(probe, "/m/acme/z/1", "OPTIONS", headers=PREFLIGHT) == Asked(200, "/m/{tenant}/z/{q}")
    assert await ask(probe, "/m/acme/x", "OPTIONS", headers=PREFLIGHT) == Asked(200, "__unmatched__")


async def test_a_host_s_routes() -> None:
    """A route of a host is its template, without the host."""
    assert await ask(ASGIProbe(nested()), "/file/x", headers={"Host": "acme.files.example"}) == Asked(
        200, "/file/{name}"
    )
    mounted = ASGIProbe(Starlette(routes=[Host("a.example", app=opaque)]))
    assert await ask(mounted, "/x", headers={"Host": "a.example"}) == Asked(200, "/{path}")


async def test_a_websocket_s_route() -> None:
    """A websocket's route is known when it is accepted, also below a mount."""
    probe = ASGIProbe(Starlette(routes=[Mount("/in", app=nested())]))
    assert await connect(probe, "/in/ws/7") == Asked(0, "/in/ws/{room}")


@pytest.mark.parametrize("build", [starlette_app, fastapi_app])
@pytest.mark.parametrize("way", ["server", "server, below a wrapper", "own middleware", "outer middleware"])
async def test_root_path_is_no_part_of_a_route(build: Any, way: str) -> None:
    """However `root_path` is set, and whether the route or middleware answers, the route has the app's templates."""
    app = build(middleware=[*([Middleware(Prefixed)] if way == "own middleware" else []), ANY_ORIGIN])
    probe = ASGIProbe({"server, below a wrapper": Copying, "outer middleware": Prefixed}.get(way, lambda app: app)(app))
    root_path = "/svc" if way.startswith("server") else ""
    for path, route in [("/items/3", "/items/{item}"), ("/named", None), ("/sites/acme/pages/3", None)]:
        if route is None and build is starlette_app:
            continue
        expected = {"/named": "/named/{by}/code"}.get(path, route or "/sites/{site}/pages/{page}")
        assert (await ask(probe, f"/svc{path}", root_path=root_path)).route == expected
    asked = await ask(probe, "/svc/items/3", "OPTIONS", root_path=root_path, headers=PREFLIGHT)
    assert asked == Asked(200, "/items/{item}")


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
@pytest.mark.parametrize("prefix", ["/svc", ""])
async def test_fastapi_s_own_root_path(prefix: str) -> None:
    """`FastAPI(root_path=)` is no part of a route, with a proxy that keeps the prefix and one that strips it."""
    probe = ASGIProbe(fastapi_app(root_path="/svc", middleware=[ANY_ORIGIN]))
    assert await ask(probe, f"{prefix}/api/v1/items/3") == Asked(200, "/api/v1/items/{item}")
    # Starlette's mounts need the prefix in the path; without it they answer 404.
    mounted = Asked(200, "/sites/{site}/pages/{page}") if prefix else Asked(404, "__unmatched__")
    assert await ask(probe, f"{prefix}/sites/acme/pages/3") == mounted
    asked = await ask(probe, f"{prefix}/api/v1/items/3", "OPTIONS", headers=PREFLIGHT)
    assert asked == Asked(200, "/api/v1/items/{item}")


async def test_included_routers() -> None:
    """A route of an included router has the prefixes, whatever kind it is: of a subclass, plain, mounted, included."""

    class Shouting(APIRoute):
        def get_route_handler(self) -> Any:
            return super().get_route_handler()

    inner, outer = APIRouter(prefix="/inner", route_class=Shouting), APIRouter(prefix="/outer/{tenant}")

    @inner.get("/items/{item}")
    async def item(item: str) -> str:
        return item

    @inner.websocket("/ws/{room}")
    async def room(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    inner.add_route("/plain/{id}", fine)
    inner.mount("/mounted", Starlette(routes=[Route("/z/{q}", fine)], middleware=[ANY_ORIGIN]))
    inner.mount("/static", opaque)
    outer.include_router(inner)
    app = FastAPI(middleware=[ANY_ORIGIN])
    app.include_router(outer, prefix="/v1")
    app.include_router(outer, prefix="/v2")
    probe = ASGIProbe(app)
    for version in ("v1", "v2"):
        prefix, template = f"/{version}/outer/acme", f"/{version}/outer/{{tenant}}"
        # FastAPI gives only its own kinds of routes the prefix of the router that they are declared in.
        plain = [("/plain/3", "/plain/{id}"), ("/mounted/z/3", "/mounted/z/{q}"), ("/static/x", "/static/{path}")]
        for path, route in [("/inner/items/3", "/inner/items/{item}"), *(plain if keeps_routers else ())]:
            assert await ask(probe, prefix + path) == Asked(200, template + route)
            preflight = await ask(probe, prefix + path, "OPTIONS", headers=PREFLIGHT)
            assert preflight == Asked(200, template + route)
        assert await ask(probe, f"{prefix}/inner/items/3", "DELETE") == Asked(405, f"{template}/inner/items/{{item}}")
        assert await ask(probe, f"{prefix}/nothing") == Asked(404, "__unmatched__")
        assert await connect(probe, f"{prefix}/inner/ws/7") == Asked(0, f"{template}/inner/ws/{{room}}")
    assert await ask(probe, "/openapi.json") == Asked(200, "/openapi.json")


@pytest.mark.skipif(not hasattr(APIRouter, "frontend"), reason="this FastAPI serves no front end")
async def test_the_files_of_a_frontend(tmp_path: Path) -> None:
    """Files that FastAPI serves as a front end have its path, also in an included router; other routes keep theirs."""
    (tmp_path / "index.html").write_text("fine")
    app, router = FastAPI(), APIRouter()
    app.add_api_route("/items/{id}", lambda id: id)  # noqa: A006
    router.frontend("/docs", directory=tmp_path)
    app.frontend("/", directory=tmp_path)
    app.include_router(router, prefix="/v1")
    probe = ASGIProbe(app)
    assert await ask(probe, "/index.html") == Asked(200, "/{path}")
    assert await ask(probe, "/v1/docs/index.html") == Asked(200, "/v1/docs/{path}")
    assert await ask(probe, "/items/3") == Asked(200, "/items/{id}")


async def test_routes_that_are_added_later() -> None:
    """Routes, mounts and included routers that are added after a request are known as well."""
    app = FastAPI()
    probe = ASGIProbe(app)
    assert await ask(probe, "/late/1") == Asked(404, "__unmatched__")
    app.add_api_route("/late/{id}", lambda id: id)  # noqa: A006
    assert await ask(probe, "/late/1") == Asked(200, "/late/{id}")
    sub, router = Starlette(routes=[Route("/z/{q}", fine)]), APIRouter(prefix="/router")
    app.mount("/sub", sub)
    app.include_router(router, prefix="/api")
    assert await ask(probe, "/sub/z/1") == Asked(200, "/sub/z/{q}")
    if keeps_routers:
        router.add_api_route("/late/{id}", lambda id: id)  # noqa: A006
        assert await ask(probe, "/api/router/late/1") == Asked(200, "/api/router/late/{id}")
    sub.router.routes.append(Route("/later", fine))
    assert await ask(probe, "/sub/later") == Asked(200, "/sub/later")


async def test_one_app_mounted_twice() -> None:
    """An app that is mounted at two paths has two routes, also where one path is a template that fits both."""
    sub = Starlette(routes=[Route("/z/{q}", fine)])
    probe = ASGIProbe(Starlette(routes=[Mount("/admin", app=sub), Mount("/{tenant}", app=sub)]))
    for _ in range(2):
        assert await ask(probe, "/acme/z/1") == Asked(200, "/{tenant}/z/{q}")
        assert await ask(probe, "/admin/z/1") == Asked(200, "/admin/z/{q}")


async def test_a_mounted_app_of_another_framework() -> None:
    """A Flask app below a mount tells its own rules."""
    with pytest.warns(match="deprecated"):
        from starlette.middleware.wsgi import WSGIMiddleware
    probe = ASGIProbe(Starlette(routes=[Mount("/old", app=WSGIMiddleware(flask_app()))]))
    assert await ask(probe, "/old/items/3") == Asked(200, "/old/items/<int:item>")
    assert await ask(probe, "/old/nothing") == Asked(404, "__unmatched__")
    assert await ask(probe, "/old/handled") == Asked(500, "/old/handled", "KeyError")


async def test_a_router_and_a_route_of_one_s_own() -> None:
    """A bare router is an app, too, and a route may be of the program's own class."""

    class Odd(BaseRoute):
        path = "/odd"

        def matches(self, scope: Any) -> tuple[Match, Any]:
            return (Match.FULL if scope["path"] == "/odd" else Match.NONE), {}

        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await opaque(scope, receive, send)

    probe = ASGIProbe(Router([Route("/a/{id}", fine), Odd()]))
    assert await ask(probe, "/a/1") == Asked(200, "/a/{id}")
    assert await ask(probe, "/odd") == Asked(200, "/odd")
