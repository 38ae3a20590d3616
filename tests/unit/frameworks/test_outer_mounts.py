"""A measured app below the mounts of an app that is not measured."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route

from lib.kairo_metrics.frameworks.outer_mounts import outer_mounts
from tests.support.fastapi_versions import needs_kept_routers
from tests.support.route_probe import ASGIProbe, Asked, ask

ANY_ORIGIN = Middleware(CORSMiddleware, allow_origins=["*"])
PREFLIGHT = {"Origin": "http://other.example", "Access-Control-Request-Method": "GET"}


async def fine(_request: Request) -> Response:
    return PlainTextResponse("fine")


def inner() -> ASGIProbe:
    return ASGIProbe(
        Starlette(
            routes=[Route("/a/{id}", fine), Mount("/m/{x}", routes=[Route("/z/{q}", fine)])], middleware=[ANY_ORIGIN]
        )
    )


def fastapi_with(probe: Any) -> FastAPI:
    router, app = APIRouter(prefix="/ignored"), FastAPI()
    router.mount("/in/{tenant}", probe)
    app.include_router(router, prefix="/v1")
    return app


@pytest.mark.parametrize(
    ("outer", "prefix", "template"),
    [
        (lambda probe: Starlette(routes=[Mount("/in", app=probe)]), "/in", "/in"),
        (lambda probe: Starlette(routes=[Mount("/in/{tenant:str}", app=probe)]), "/in/acme", "/in/{tenant}"),
        (
            lambda probe: Starlette(routes=[Mount("/one", routes=[Mount("/{two}", app=probe)])]),
            "/one/acme",
            "/one/{two}",
        ),
        (
            lambda probe: Starlette(routes=[Mount("/one", app=Starlette(routes=[Mount("/two", app=probe)]))]),
            "/one/two",
            "/one/two",
        ),
        (
            lambda probe: Starlette(routes=[Mount("/one", routes=[Mount("/two", app=probe)], middleware=[ANY_ORIGIN])]),
            "/one/two",
            "/one/two",
        ),
        (
            lambda probe: Starlette(
                routes=[Mount("/w", app=CORSMiddleware(Starlette(routes=[Mount("/in", app=probe)])))]
            ),
            "/w/in",
            "/w/in",
        ),
        (lambda probe: Starlette(routes=[Host("shop.example", app=probe)]), "", ""),
        pytest.param(fastapi_with, "/v1/in/acme", "/v1/in/{tenant}", marks=needs_kept_routers),
    ],
    ids=["literal", "template", "two mounts", "two apps", "middleware", "wrapped", "host", "included router"],
)
@pytest.mark.parametrize("root_path", ["", "/svc"])
async def test_the_mounts_are_part_of_the_route(outer: Any, prefix: str, template: str, root_path: str) -> None:
    """Each kind of mount gives its template; the prefix of a proxy in front of all is no part of it."""
    probe = inner()
    app, prefix = outer(probe), root_path + prefix
    for _ in range(2):
        for path, route in [("/a/1", "/a/{id}"), ("/m/1/z/2", "/m/{x}/z/{q}")]:
            asked = await ask(probe, prefix + path, through=app, root_path=root_path)
            assert asked == Asked(200, template + route)
            asked = await ask(probe, prefix + path, "OPTIONS", through=app, root_path=root_path, headers=PREFLIGHT)
            assert asked == Asked(200, template + route)
        asked = await ask(probe, f"{prefix}/nothing", through=app, root_path=root_path)
        assert asked == Asked(404, "__unmatched__")


async def test_one_app_below_two_mounts() -> None:
    """The path decides where one measured app is mounted twice, and a later mount is found as well."""
    probe = inner()
    outer = Starlette(routes=[Mount("/admin", app=probe), Mount("/{tenant}", app=probe)])
    for _ in range(2):
        assert await ask(probe, "/acme/a/1", through=outer) == Asked(200, "/{tenant}/a/{id}")
        assert await ask(probe, "/admin/a/1", through=outer) == Asked(200, "/admin/a/{id}")
    outer.router.routes.insert(0, Mount("/first", app=probe))
    assert await ask(probe, "/first/a/1", through=outer) == Asked(200, "/first/a/{id}")


async def test_a_route_of_the_outer_app_is_never_taken() -> None:
    """The outer app may have a route of the same shape; it is not the one that was called."""
    probe = inner()
    outer = Starlette(routes=[Mount("/in", app=probe), Mount("/m/{y}", routes=[Route("/z/{somebody_else}", fine)])])
    assert await ask(probe, "/in/m/1/z/2", through=outer) == Asked(200, "/in/m/{x}/z/{q}")


def test_what_can_not_be_told_is_left_out() -> None:
    """A scope without the traces of a mount adds nothing."""
    assert outer_mounts({"app_root_path": "", "root_path": "/in"}) == ""
    assert outer_mounts({"app_root_path": "", "root_path": "/in", "router": Starlette().router, "endpoint": fine}) == ""
