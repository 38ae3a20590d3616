"""Apps of other forms under the names of each library: mounts, blueprints, namespaces, handlers, streams."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.moved_apps import DJANGO, FASTAPI, FLASK, STARLETTE, moved
from tests.support.moved_pair import Asked, Series, moved_pair
from tests.system.migrating.test_moves import differences

pytestmark = pytest.mark.long

MIDDLEWARE = """
from starlette_exporter import PrometheusMiddleware
from starlette_exporter.optional_metrics import request_body_size, response_body_size
app.add_middleware(PrometheusMiddleware, optional_metrics=[request_body_size, response_body_size])
"""
INSTRUMENTATOR = """
from prometheus_fastapi_instrumentator import Instrumentator
Instrumentator(should_instrument_requests_inprogress=True).instrument(app)
"""
BY_RULE = """
from prometheus_flask_exporter import PrometheusMetrics
PrometheusMetrics(app, path=None)
"""
ASGI = [
    *map(
        Asked,
        ("/hello/a", "/typed/1/a/b", "/typed/x/a", "/sub/deep/1", "/sub/broken", "/acme/shop/4", "/api/sub/deep/2"),
    ),
    *map(Asked, ("/files/page.html", "/files/none", "/stream", "/handled", "/inner/shop/1", "/inner/none", "/nothing")),
    Asked("/hello/a", "POST", b"some"),
    Asked("/hello/a", "HEAD"),
    Asked("/hello/a", headers=(("Accept-Encoding", "gzip"),)),
]
WSGI = [
    *map(Asked, ("/shop/plain", "/shop/unavailable", "/shop/late", "/shop/broken")),
    Asked("/shop/plain", headers=(("X-Refuse", "1"),)),
    Asked("/shop/plain", "POST", b"x"),
    Asked("/shop/plain", "HEAD"),
]
DJANGO_PATHS = ("/in/shop/a/", "/in/two/shop/a/", "/in/denied/", "/old/1999/", "/old/x/", "/file/")
CASES = {
    "starlette with starlette_exporter": (
        STARLETTE,
        MIDDLEWARE,
        "names='starlette_exporter', sizes=True",
        "asgi",
        ASGI,
    ),
    "fastapi with starlette_exporter": (FASTAPI, MIDDLEWARE, "names='starlette_exporter', sizes=True", "asgi", ASGI),
    "starlette with fastapi_instrumentator": (
        STARLETTE,
        INSTRUMENTATOR,
        "names='fastapi_instrumentator', in_progress=True",
        "asgi",
        ASGI,
    ),
    "fastapi with fastapi_instrumentator": (
        FASTAPI,
        INSTRUMENTATOR,
        "names='fastapi_instrumentator', in_progress=True",
        "asgi",
        ASGI,
    ),
    "flask": (FLASK, BY_RULE, "names='flask_exporter'", "wsgi", WSGI),
    "django": (
        DJANGO,
        "",
        "names='django_prometheus'",
        "wsgi",
        [*map(Asked, DJANGO_PATHS), Asked("/in/shop/a/", "POST", b"x", (("X-Forwarded-Proto", "https"),))],
    ),
}


def without_the_exporter(series: Series) -> Series:
    """Leave out what docs/migrating.md names as not carried over."""
    return {key: value for key, value in series.items() if not key[0].endswith("_exporter_info")}


@pytest.mark.parametrize("case", CASES)
def test_an_app_of_another_form_shows_the_same_series(case: str, tmp_path: Path, redis_url: str) -> None:
    """After each request both pages have the same names, labels and counts."""
    app, library, ours, interface, requests = CASES[case]
    with moved_pair(moved(app, library, ours), interface, "app:app", tmp_path, redis_url) as pair:
        for asked in requests:
            [before, after] = pair.ask(asked)
            assert after == before, asked
            assert differences(pair, without_the_exporter) == {}, asked
