"""A Starlette app with mounts, a host, a websocket, and middleware that copies scopes."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute

__all__ = ["ANY_ORIGIN", "Copying", "fine", "nested", "opaque"]


ANY_ORIGIN = Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"])


async def fine(_request: Request) -> Response:
    return PlainTextResponse("fine")


async def opaque(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("opaque")(scope, receive, send)


class Copying:
    """Middleware that hands a copy of the scope on."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(dict(scope), receive, send)


def nested() -> Starlette:
    deep = Starlette(routes=[Route("/z/{q}", fine)], middleware=[ANY_ORIGIN, Middleware(Copying)])
    return Starlette(
        routes=[
            Route("/a/{id:int}", fine, methods=["GET", "POST"]),
            Mount("/m/{tenant:str}", routes=[Route("/b", fine), Mount("/deep", app=Copying(deep))]),
            Mount("/static", app=opaque),
            Host("{shop}.files.example", app=Router([Route("/file/{name}", fine)])),
            WebSocketRoute("/ws/{room}", talk),
        ],
        middleware=[ANY_ORIGIN, Middleware(Copying)],
    )


async def talk(websocket: Any) -> None:
    await websocket.accept()
    await websocket.close()
