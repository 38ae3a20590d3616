"""A Django project in one module: its settings and its URLs."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.conf.urls.i18n import i18n_patterns
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path, re_path

from lib.kairo_metrics.frameworks.request_route import request_route

__all__ = ["django_asgi", "django_wsgi"]


# Django has one configuration in a process, and `i18n_patterns` below reads it.
if not settings.configured:
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="of no use",
        MIDDLEWARE=[f"{__name__}.rejecting", "django.middleware.locale.LocaleMiddleware"],
        LANGUAGES=[("en", "English"), ("fr", "French")],
        USE_I18N=True,
        LOGGING_CONFIG=None,
        DATABASES={},
    )


def plain(_request: HttpRequest, **_kwargs: Any) -> HttpResponse:
    return HttpResponse("fine")


async def plain_async(_request: HttpRequest, **_kwargs: Any) -> HttpResponse:
    return HttpResponse("fine")


def broken(_request: HttpRequest, item: int) -> HttpResponse:
    raise LookupError(item)


def handled(_request: HttpRequest) -> HttpResponse:
    raise KeyError("on purpose")


def missing(_request: HttpRequest, item: int) -> HttpResponse:
    raise Http404(item)


def unavailable(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("later", status=503)


def named(request: HttpRequest) -> HttpResponse:
    request_route(request, "/named/{by}/code")
    return HttpResponse("fine")


# Django takes a factory for both of its modes.
def rejecting(get_response: Any) -> Any:
    """Middleware: answer 401 before the URL is resolved, and the exceptions of some views."""

    class Rejecting:
        def __call__(self, request: Any) -> Any:
            if "X-Reject" in request.headers:
                return HttpResponse("no", status=401)
            if "X-Break" in request.headers:
                raise BufferError("middleware")
            return get_response(request)

        def process_exception(self, _request: Any, error: Exception) -> Any:
            return HttpResponse("sorry", status=500) if isinstance(error, KeyError) else None

    return Rejecting()


urlpatterns = [
    path("", plain),
    path("items/<int:item>/", plain),
    path("async/<int:item>/", plain_async),
    path("broken/<int:item>/", broken),
    path("handled/", handled),
    path("missing/<int:item>/", missing),
    path("unavailable/", unavailable),
    path("named/", named),
    path("api/", include([path("v1/items/<int:item>/", plain), re_path(r"^old/(?P<year>[0-9]{4})/$", plain)])),
    re_path(r"^files/(?P<name>(?:\w|-)+)\.txt$", plain),
    *i18n_patterns(path("shop/<slug:name>/", plain)),
]


def django_wsgi() -> Any:
    django.setup()
    return get_wsgi_application()


def django_asgi() -> Any:
    django.setup()
    return get_asgi_application()
