"""The route templates of the frameworks in the README."""

from __future__ import annotations

from typing import Any

import pytest

from lib.kairo_metrics import instrument
from tests.support.framework_apps import fastapi_app, litestar_app, quart_app
from tests.support.recording import Recording
from tests.support.watched_app import call


@pytest.mark.parametrize(
    ("app", "path", "route"),
    [
        (fastapi_app(), "/api/v1/items/3", "/api/v1/items/{item}"),
        (fastapi_app(), "/sites/acme/pages/3", "/sites/{site}/pages/{page}"),
        (fastapi_app(), "/sites/acme/nothing", "__unmatched__"),
        (fastapi_app(), "/nothing", "__unmatched__"),
        (litestar_app(), "/items/3", "/items/{item}"),
        (litestar_app(), "/nothing", "__unmatched__"),
        (quart_app(), "/items/3", "/items/<int:item>"),
        (quart_app(), "/nothing", "__unmatched__"),
        (quart_app(), "//items//3", "__unmatched__"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_a_framework_gives_its_route_template(recording: Recording, app: Any, path: str, route: str) -> None:
    """FastAPI, Litestar and Quart apps are measured by route, including included and mounted routes."""
    response = await call(instrument(app), "GET", path)
    [sample] = await recording.samples("http_requests_total")
    assert f'route="{route}",status="{response.status_code}"' in sample
