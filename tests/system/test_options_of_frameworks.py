"""The options of `instrument` with apps of the frameworks in the docs."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from lib.kairo_metrics import instrument
from tests.support.framework_apps import ASGI_APPS, WSGI_APPS, Sample
from tests.support.recording import Recording
from tests.support.watched_app import call
from tests.support.wsgi_client import call_wsgi

pytestmark = pytest.mark.usefixtures("fresh_catalogue")

CASES = [pytest.param("asgi", sample, id=f"{name}-asgi") for name, sample in ASGI_APPS.items()]
CASES += [pytest.param("wsgi", sample, id=f"{name}-wsgi") for name, sample in WSGI_APPS.items()]


async def _get(interface: str, app: Any, path: str) -> bytes:
    if interface == "asgi":
        return (await call(app, "GET", path, headers={"X-Tenant": "acme"})).content
    return (await asyncio.to_thread(call_wsgi, app, "GET", path, HTTP_X_TENANT="acme")).body


@pytest.mark.parametrize(("interface", "sample"), CASES)
async def test_a_route_is_skipped_and_the_rest_is_labelled(
    recording: Recording, interface: str, sample: Sample
) -> None:
    """In each framework a route may be skipped, the labels are those of its requests, and the bytes those it sends."""
    app = instrument(
        sample.build(),
        skip_paths=[sample.inner, "__unmatched__"],
        labels={
            "tenant": lambda request: request.headers.get("x-tenant"),
            "kind": lambda request, response: f"{request.route} {response.headers.get('content-type', '')[:5]}",
        },
        sizes=True,
    )
    for path in ("/api/v1/items/3", "/nothing/3"):
        await _get(interface, app, path if path == "/nothing/3" else sample.path(path))
    body = await _get(interface, app, sample.path("/items/3"))
    (counted,) = await recording.samples("http_requests_total")
    labels = dict(re.findall(r'(\w+)="([^"]*)"', counted))
    assert (labels["route"], labels["tenant"]) == (sample.item, "acme")
    assert labels["kind"] in {f"{sample.item} text/", f"{sample.item} appli"}
    assert list((await recording.samples("http_response_size_bytes_sum")).values()) == [len(body)]


async def test_the_path_is_compared_with_and_without_the_prefix_of_the_server(recording: Recording) -> None:
    """An app that a server has under a prefix names its paths as it likes."""
    sample = ASGI_APPS["starlette"]
    app = instrument(sample.build(), skip_paths=["/items/3", "/svc/items/4"])
    for number in (3, 4, 5):
        assert (await call(app, "GET", f"/svc/items/{number}", root_path="/svc")).status_code == 200
    assert sum((await recording.samples("http_requests_total")).values()) == 1


async def test_what_an_instrumented_app_mounts_has_the_options_of_the_outer_one(recording: Recording) -> None:
    """Of two instrumented apps, one inside the other, the outer one counts."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    inner = instrument(ASGI_APPS["starlette"].build(), skip_paths=["*"])
    outer = instrument(Starlette(routes=[Mount("/inner", inner)]), group_status=True)
    await call(outer, "GET", "/inner/items/3")
    (counted,) = await recording.samples("http_requests_total")
    assert 'status="2xx"' in counted
