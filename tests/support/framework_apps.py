"""The same few routes as an app of each framework."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from litestar import Litestar, get
from litestar.params import FromPath
from quart import Quart


def fastapi_app() -> FastAPI:
    inner = APIRouter(prefix="/v1")

    @inner.get("/items/{item}")
    async def item(item: int) -> int:
        return item

    mounted = FastAPI()

    @mounted.get("/pages/{page}")
    async def page(page: str) -> str:
        return page

    app = FastAPI()
    app.include_router(inner, prefix="/api")
    app.mount("/sites/{site}", mounted)
    return app


def litestar_app() -> Litestar:
    @get("/items/{item:int}")
    async def item(item: FromPath[int]) -> int:
        return item

    return Litestar(route_handlers=[item])


def quart_app() -> Quart:
    app = Quart(__name__)

    @app.get("/items/<int:item>")
    async def item(item: int) -> str:
        return str(item)

    return app
