"""Apps with what the examples of docs/migrating.md lack: mounts, blueprints, namespaces, typed parameters, handlers."""

from __future__ import annotations

from tests.support.migrating_page import Move

__all__ = ["DJANGO", "FASTAPI", "FLASK", "STARLETTE", "moved"]

# Otherwise an app is measured at its end.
_HERE = "# measured here\n"
STARLETTE = """
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles


def hello(request):
    return PlainTextResponse("hi" * 600)


def broken(request):
    raise LookupError("on purpose")


def handled(request):
    raise KeyError("on purpose")


app = Starlette(
    routes=[
        Route("/hello/{name}", hello),
        Route("/typed/{number:int}/{rest:path}", hello),
        Mount("/sub", routes=[Route("/deep/{x}", hello), Route("/broken", broken)]),
        Mount("/{tenant}/shop", routes=[Route("/{item:int}", hello)]),
        Mount("/files", StaticFiles(directory=".")),
        Route("/stream", lambda request: StreamingResponse(iter(["a", "b"]))),
        Route("/handled", handled),
    ],
    exception_handlers={KeyError: lambda request, error: PlainTextResponse("sorry", status_code=500)},
)
app.add_middleware(GZipMiddleware)
"""
FASTAPI = """
from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse

router, inner = APIRouter(prefix="/sub"), FastAPI()


@router.get("/deep/{x}")
def deep(x: str):
    return PlainTextResponse("gone", status_code=410)


@router.get("/broken")
def broken():
    raise LookupError("on purpose")


@inner.get("/shop/{item}")
def shop(item: int):
    return item


app = FastAPI()
app.include_router(router, prefix="/api")
app.include_router(router)
app.mount("/inner", inner)


@app.exception_handler(KeyError)
def answer(request, error):
    return PlainTextResponse("sorry", status_code=500)


@app.get("/handled")
def handled():
    raise KeyError("on purpose")


@app.get("/hello/{name}")
def hello(name: str):
    return name


@app.get("/typed/{number:int}/{rest:path}")
def typed(number: int, rest: str):
    return rest


@app.get("/stream")
def stream():
    return StreamingResponse(iter(["a", "b"]))
"""
FLASK = """
from flask import Blueprint, Flask, abort
from werkzeug.exceptions import HTTPException

app, shop = Flask(__name__), Blueprint("shop", __name__, url_prefix="/shop")
# measured here


@shop.get("/plain")
def plain():
    return "fine"


@shop.get("/unavailable")
def unavailable():
    abort(503)


@shop.get("/late")
def late():
    return "late", "299 late"


@shop.get("/broken")
def broken():
    raise LookupError("on purpose")


@app.before_request
def refuse():
    from flask import request

    if "X-Refuse" in request.headers:
        abort(401)


@app.errorhandler(500)
def sorry(error):
    return "sorry", 500


app.register_blueprint(shop)
"""
DJANGO = """
import django
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpResponse
from django.urls import include, path, re_path
from django.views import View

settings.configure(
    SECRET_KEY="x",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[*BEFORE, "django.middleware.common.CommonMiddleware", *AFTER],
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
)


class Shop(View):
    def get(self, request, name):
        return HttpResponse(name, charset="latin-1", status=201)


def denied(request):
    raise PermissionDenied


def file(request):
    return FileResponse(open(__file__, "rb"))


inner = ([path("shop/<slug:name>/", Shop.as_view(), name="shop"), path("denied/", denied)], "inner")
urlpatterns = [
    path("in/", include(inner)),
    path("in/two/", include(inner, namespace="second")),
    re_path("^old/(?P<year>[0-9]{4})/$", denied, name="old"),
    path("file/", file, name="file"),
]
django.setup()
from django.core.wsgi import get_wsgi_application

app = get_wsgi_application()
"""


def moved(app: str, library: str, ours: str) -> Move:
    """Return an app measured by another library, and by us.

    Args:
        app: its text, without either.
        library: what measures it with the other library.
        ours: the arguments of `instrument`.
    """
    after = f'from lib.kairo_metrics import instrument\napp = instrument(app, {ours}, metrics_path="/metrics")\n'
    if _HERE in app:
        return Move({"app.py": app.replace(_HERE, library)}, {"app.py": app.replace(_HERE, after)})
    django = "from django.core.wsgi import"  # its middlewares are in the settings
    middlewares = "django_prometheus.middleware.Prometheus{}Middleware"
    if django in app:
        before, after_middleware = ([middlewares.format(name)] for name in ("Before", "After"))
        return Move(
            {"app.py": f"BEFORE, AFTER = {before!r}, {after_middleware!r}\n{app}{library}"},
            {"app.py": f"BEFORE, AFTER = [], []\n{app}{after}"},
        )
    return Move({"app.py": f"{app}\n{library}"}, {"app.py": f"{app}\n{after}"})
