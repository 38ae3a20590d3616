"""A Django project in one file."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from prometheus_client import Counter

from lib.kairo_metrics import instrument

READ = Counter("items_read_total", "Items read.")
PARTS = ("one ", "two ", "three")

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of a test")


def item(_request: HttpRequest, number: int) -> HttpResponseBase:
    READ.inc()
    return HttpResponse(f"item {number}")


def broken(_request: HttpRequest, number: int) -> HttpResponseBase:
    raise LookupError(number)


async def asynchronous(parts: Iterable[str]) -> AsyncIterator[str]:
    for part in parts:
        yield part
        await asyncio.sleep(0)  # a server sends nothing to a client that has left, and does not wait


def answer(request: HttpRequest, kind: str, status: int) -> HttpResponseBase:
    READ.inc()
    response: HttpResponseBase = HttpResponse("".join(PARTS), status=status)
    if kind.endswith("stream"):
        parts = itertools.repeat("x" * 65_536) if kind == "endless-stream" else PARTS
        response = StreamingHttpResponse(asynchronous(parts) if hasattr(request, "scope") else parts, status=status)
    if kind in {"whole", "sized-stream"}:
        response["Content-Length"] = str(len("".join(PARTS)))
    return response


urlpatterns = [
    path(f"api/{function}/{route}", view)
    for function in ("django_app", "django_asgi")
    for route, view in (
        ("items/<int:number>", item),
        ("broken/<int:number>", broken),
        ("answers/<kind>/<int:status>", answer),
    )
]

app = instrument(get_wsgi_application())
