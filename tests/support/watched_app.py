"""An app with a route of every kind, and a function to call it in the test's process."""

from __future__ import annotations

from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, Router
from starlette.types import Receive, Scope, Send


async def plain(request: Request) -> Response:
    return PlainTextResponse("hello " + request.path_params.get("id", ""))


async def broken(request: Request) -> Response:
    raise LookupError(request.url.path)


async def unavailable(_request: Request) -> Response:
    return PlainTextResponse("later", 503)


async def opaque(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("opaque")(scope, receive, send)


def cms() -> Starlette:
    """Build an app with a route of every kind."""
    return Starlette(
        routes=[
            Route("/items/{id}", plain, methods=["GET", "POST"]),
            Route("/broken/{id:int}", broken),
            Route("/unavailable", unavailable),
            Mount(
                "/tenants/{tenant}", routes=[Route("/items/{id}", plain), Mount("/deep", Router([Route("/", plain)]))]
            ),
            Mount("/static", app=opaque),
            Host("files.example.org", Router([Route("/file/{name}", plain)])),
        ]
    )


async def call(  # noqa: PLR0913  the parts of a request
    app: Any,
    method: str,
    path: str,
    host: str = "cms.example.org",
    *,
    headers: dict[str, str] | None = None,
    root_path: str = "",
) -> httpx.Response:
    """Send one request to an app in this process."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
        return await client.request(method, path, headers=headers)
