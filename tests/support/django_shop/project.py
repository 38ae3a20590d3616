"""The project of the app: its settings, its views, and what was counted.

A program imports it, with the address of its first database in `SHOP_DATABASE` as a dictionary of JSON.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

from lib.kairo_metrics.instruments.catalogue import OWN

__all__ = ["DATABASES", "added", "make_tables", "samples"]

_FOLDER = tempfile.mkdtemp(prefix="kairo-django-")
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
DATABASES: dict[str, dict[str, Any]] = {
    "default": json.loads(os.environ.get("SHOP_DATABASE", "{}"))
    or {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{_FOLDER}/default.sqlite3"},
    "reports": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{_FOLDER}/reports.sqlite3"},
}
settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="of no use",
    INSTALLED_APPS=["tests.support.django_shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    LOGGING_CONFIG=None,
    DATABASES=DATABASES,
    USE_TZ=True,
)
django.setup()


def sync_view(_request: HttpRequest) -> HttpResponse:
    from tests.support.django_shop.models import Order

    return HttpResponse(str(Order.objects.count()))


async def async_view(_request: HttpRequest) -> HttpResponse:
    from tests.support.django_shop.models import Order

    orders = [order async for order in Order.objects.all()]
    return HttpResponse(str(await Order.objects.acount() + len(orders)))


def plain_view(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("fine")


urlpatterns = [path("sync", sync_view), path("async", async_view), path("plain", plain_view)]


def make_tables() -> None:
    """Create the tables in both databases, without their migrations."""
    from django.apps import apps
    from django.db import connections

    for alias in connections:
        with connections[alias].schema_editor() as editor:
            for model in apps.get_app_config("django_shop").get_models():
                if not model._meta.proxy:
                    editor.create_model(model)


def samples(name: str) -> dict[str, float]:
    """Return the values of a metric by its labels, in one text each."""
    return {
        " ".join(sample.labels.values()): sample.value
        for family in OWN.collect()
        for sample in family.samples
        if sample.name == name
    }


_before: dict[str, dict[str, float]] = {}


def added(name: str = "django_query_duration_seconds_count") -> dict[str, float]:
    """Return what a metric has got since the last call."""
    before, now = _before.get(name, {}), samples(name)
    _before[name] = now
    return {labels: value - before.get(labels, 0) for labels, value in now.items() if value != before.get(labels, 0)}
