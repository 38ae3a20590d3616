"""The same few routes as an app of each framework.

`/items/3` is fine, `/broken/3` raises, `/handled` raises what the app's own handler answers with 500, `/unavailable` is
a 503 that the framework has an exception for, `/named` names its route itself, and `/api/v1/items/3` has a prefix.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import bottle
from fastapi import APIRouter, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from flask import Blueprint, Flask, abort
from flask import request as flask_request
from litestar import Litestar, Response, Router, get
from litestar import Request as LitestarRequest
from litestar.exceptions import ServiceUnavailableException
from litestar.params import FromPath
from quart import Quart
from quart import abort as quart_abort
from quart import request as quart_request
from starlette.applications import Starlette
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from lib.kairo_metrics.frameworks.request_route import request_route
from tests.support.django_project import django_asgi, django_wsgi
from tests.support.falcon_apps import falcon_asgi, falcon_wsgi
from tests.support.pyramid_project import pyramid_app

__all__ = [
    "ASGI_APPS",
    "NAMED",
    "WSGI_APPS",
    "Sample",
    "bottle_app",
    "falcon_asgi",
    "falcon_wsgi",
    "fastapi_app",
    "flask_app",
    "litestar_app",
    "quart_app",
    "starlette_app",
]

NAMED = "/named/{by}/code"


def starlette_app(**arguments: Any) -> Starlette:
    async def item(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("fine")

    async def broken(request: Any) -> PlainTextResponse:
        raise LookupError(request.url)

    async def handled(_request: Any) -> PlainTextResponse:
        raise KeyError("on purpose")

    async def answer(_request: Any, _error: Exception) -> PlainTextResponse:
        return PlainTextResponse("sorry", 500)

    async def unavailable(_request: Any) -> PlainTextResponse:
        raise StarletteHTTPException(503)

    async def named(request: Any) -> PlainTextResponse:
        request_route(request, NAMED)
        return PlainTextResponse("fine")

    return Starlette(
        routes=[
            Route("/items/{item:int}", item),
            Route("/broken/{item}", broken),
            Route("/handled", handled),
            Route("/unavailable", unavailable),
            Route("/named", named),
            Mount("/api/{version}", routes=[Route("/items/{item}", item)]),
        ],
        exception_handlers={KeyError: answer},
        **arguments,
    )


def fastapi_app(**arguments: Any) -> FastAPI:
    inner = APIRouter(prefix="/v1")

    @inner.get("/items/{item}")
    async def inner_item(item: int) -> int:
        return item

    mounted = FastAPI()

    @mounted.get("/pages/{page}")
    async def page(page: str) -> str:
        return page

    app = FastAPI(**arguments)

    @app.get("/items/{item}")
    async def item(item: int) -> int:
        return item

    @app.get("/broken/{item}")
    async def broken(item: int) -> int:
        raise LookupError(item)

    @app.get("/handled")
    def handled() -> int:
        raise KeyError("on purpose")

    @app.exception_handler(KeyError)
    def answer(_request: Request, _error: Exception) -> JSONResponse:
        return JSONResponse("sorry", 500)

    @app.get("/unavailable")
    async def unavailable() -> int:
        raise HTTPException(503)

    @app.get("/named")
    async def named(request: Request) -> int:
        request_route(request, NAMED)
        return 1

    app.include_router(inner, prefix="/api")
    app.mount("/sites/{site}", mounted)
    return app


def litestar_app(**arguments: Any) -> Litestar:
    @get("/items/{item:int}")
    async def item(item: FromPath[int]) -> int:
        return item

    @get("/v1/items/{item:int}")
    async def inner_item(item: FromPath[int]) -> int:
        return item

    @get("/broken/{item:int}")
    async def broken(item: FromPath[int]) -> int:
        raise LookupError(item)

    @get("/handled")
    async def handled() -> int:
        raise KeyError("on purpose")

    def answer(_request: Any, _error: Exception) -> Response[str]:
        return Response("sorry", status_code=500)

    @get("/unavailable")
    async def unavailable() -> int:
        raise ServiceUnavailableException

    @get("/named")
    async def named(request: LitestarRequest[Any, Any, Any]) -> int:
        request_route(request, NAMED)
        return 1

    handlers: list[Any] = [item, broken, handled, unavailable, named, Router("/api", route_handlers=[inner_item])]
    return Litestar(handlers, exception_handlers={KeyError: answer}, logging_config=None, **arguments)


def quart_app() -> Quart:
    app = Quart(__name__)
    logging.getLogger(app.name).disabled = True

    @app.get("/items/<int:item>")
    @app.get("/api/v1/items/<int:item>")
    async def item(item: int) -> str:
        return str(item)

    @app.get("/broken/<int:item>")
    async def broken(item: int) -> str:
        raise LookupError(item)

    @app.get("/handled")
    async def handled() -> str:
        raise KeyError("on purpose")

    @app.errorhandler(KeyError)
    async def answer(_error: Exception) -> tuple[str, int]:
        return "sorry", 500

    @app.get("/unavailable")
    async def unavailable() -> str:
        quart_abort(503)

    @app.get("/named")
    async def named() -> str:
        request_route(quart_request, NAMED)
        return "fine"

    return app


def flask_app(**arguments: Any) -> Flask:
    app = Flask(__name__, **arguments)
    logging.getLogger(app.name).disabled = True
    blueprint = Blueprint("v1", __name__, url_prefix="/v1")

    @blueprint.get("/items/<int:item>")
    def inner_item(item: int) -> str:
        return str(item)

    @app.get("/items/<int:item>")
    def item(item: int) -> str:
        return str(item)

    @app.get("/broken/<int:item>")
    def broken(item: int) -> str:
        raise LookupError(item)

    @app.get("/handled")
    def handled() -> str:
        raise KeyError("on purpose")

    @app.errorhandler(KeyError)
    def answer(_error: Exception) -> tuple[str, int]:
        return "sorry", 500

    @app.get("/unavailable")
    def unavailable() -> str:
        abort(503)

    @app.get("/named")
    def named() -> str:
        request_route(flask_request, NAMED)
        return "fine"

    app.register_blueprint(blueprint, url_prefix="/api/v1")
    return app


def bottle_app() -> Any:
    def item(item: int) -> str:
        return str(item)

    def broken(item: int) -> str:
        raise LookupError(item)

    def handled() -> str:
        raise KeyError("on purpose")

    def unavailable() -> None:
        bottle.abort(503)

    def named() -> str:
        request_route(bottle.request, NAMED)
        return "fine"

    app = bottle.Bottle()
    app.get(["/items/<item:int>", "/api/v1/items/<item:int>"], callback=item)
    for path, callback in {"/broken/<item:int>": broken, "/handled": handled, "/unavailable": unavailable}.items():
        app.get(path, callback=callback)
    app.get("/named", callback=named)
    app.error(500)(lambda _error: "sorry")
    return app


class Sample(NamedTuple):
    """How to build an app, and its templates of `/items/3`, of `/api/v1/items/3` and of `/broken/3`."""

    build: Callable[[], Any]
    item: str
    inner: str
    broken: str

    def path(self, path: str) -> str:
        """Return a path as this app wants it: Django's end with a slash."""
        return f"{path}/" if self.item.endswith("/") else path


ASGI_APPS = {
    "starlette": Sample(starlette_app, "/items/{item}", "/api/{version}/items/{item}", "/broken/{item}"),
    "fastapi": Sample(fastapi_app, "/items/{item}", "/api/v1/items/{item}", "/broken/{item}"),
    "litestar": Sample(litestar_app, "/items/{item}", "/api/v1/items/{item}", "/broken/{item}"),
    "quart": Sample(quart_app, "/items/<int:item>", "/api/v1/items/<int:item>", "/broken/<int:item>"),
    "falcon": Sample(falcon_asgi, "/items/{item:int}", "/api/v1/items/{item:int}", "/broken/{item}"),
    "django": Sample(django_asgi, "/items/<int:item>/", "/api/v1/items/<int:item>/", "/broken/<int:item>/"),
}
WSGI_APPS = {
    "flask": Sample(flask_app, "/items/<int:item>", "/api/v1/items/<int:item>", "/broken/<int:item>"),
    "django": Sample(django_wsgi, "/items/<int:item>/", "/api/v1/items/<int:item>/", "/broken/<int:item>/"),
    "bottle": Sample(bottle_app, "/items/<item:int>", "/api/v1/items/<item:int>", "/broken/<item:int>"),
    "falcon": Sample(falcon_wsgi, "/items/{item:int}", "/api/v1/items/{item:int}", "/broken/{item}"),
    "pyramid": Sample(pyramid_app, "/items/{item}", "/api/v1/items/{item}", "/broken/{item}"),
}
