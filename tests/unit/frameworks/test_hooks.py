"""Frameworks that differ from what is known of them."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Match, Route

from lib.kairo_metrics import instrument
from lib.kairo_metrics.frameworks import flask_app as flask_module
from lib.kairo_metrics.frameworks import hooks as module
from lib.kairo_metrics.frameworks.hooks import unfailing
from tests.support.framework_apps import flask_app
from tests.support.recording import Recording
from tests.support.route_probe import ASGIProbe, Asked, WSGIProbe, ask


@pytest.fixture(autouse=True)
def _nothing_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_logged", set())


class Broken(BaseRoute):
    """A route whose attributes can't be read."""

    routes = ()  # like a mount, but without an app

    @property
    def path_format(self) -> str:
        raise OSError

    def matches(self, scope: Any) -> tuple[Match, Any]:
        return (Match.FULL if scope["path"] == "/broken" else Match.NONE), {}

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("fine")(scope, receive, send)


async def test_a_route_that_can_not_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """A request is served and counted as unmatched, its neighbours as ever, and the log tells once."""
    probe = ASGIProbe(Starlette(routes=[Broken(), Route("/a/{id}", lambda _request: PlainTextResponse("fine"))]))
    for _ in range(3):
        assert await ask(probe, "/broken") == Asked(200, "__unmatched__")
        assert await ask(probe, "/a/1") == Asked(200, "/a/{id}")
    assert [record.message for record in caplog.records if record.name == "kairo_metrics"] == [
        "requests may be counted as __unmatched__: a framework differs"
    ]


async def test_an_app_that_can_not_be_hooked(recording: Recording, caplog: pytest.LogCaptureFixture) -> None:
    """An app that only looks like a known one is instrumented all the same, and serves."""

    class Litestar:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("fine")(scope, receive, send)

    Litestar.__module__ = "litestar.app"
    app = instrument(Litestar())
    assert (await ask(_Statuses(app), "/")).status == 200
    assert [key for key, count in (await recording.samples("http_requests_total")).items() if count] == [
        'http_requests_total{method="GET",route="__unmatched__",status="200"}'
    ]
    assert {record.levelname for record in caplog.records if record.name == "kairo_metrics"} == {"WARNING"}


class _Statuses:
    """Notes the statuses of an app."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.asked = [Asked()]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def note(message: Any) -> None:
            self.asked[0].status = message.get("status", self.asked[0].status)
            await send(message)

        await self.app(scope, receive, note)


async def test_a_framework_whose_rules_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a framework's own objects have changed, requests are answered as before."""
    monkeypatch.setattr(flask_module, "request", object())
    assert (await ask(WSGIProbe(flask_app()), "/items/3")).status == 200


def test_what_works_is_not_touched() -> None:
    """A function that works returns what it returned before, with its name and its sentence."""

    @unfailing
    def double(number: int) -> int:
        """Return twice the number."""
        return 2 * number

    assert (double(2), double.__name__, double.__doc__) == (4, "double", "Return twice the number.")
