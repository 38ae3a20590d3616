"""The measured app is the app."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest
from falcon import App as FalconApp
from fastapi import FastAPI
from flask import Flask
from litestar import Litestar
from quart import Quart
from starlette.applications import Starlette

from lib.kairo_metrics import instrument
from lib.kairo_metrics.entrypoints.asgi import ASGIEntry
from lib.kairo_metrics.entrypoints.in_place import entry_of
from tests.support.recording import Recording
from tests.support.watched_app import call


@pytest.mark.parametrize("build", [FastAPI, Starlette, Litestar, FalconApp, lambda: Quart("q"), lambda: Flask("f")])
def test_an_object_stays_the_same_object(recording: Recording, build: Any) -> None:
    """`instrument` gives back the app itself, an instance of its class, under the same name."""
    assert recording
    app = build()
    own_class = type(app)
    measured_app = instrument(app)
    assert measured_app is app
    assert isinstance(app, own_class)
    assert type(app).__name__ == own_class.__name__
    assert type(app).__module__ == own_class.__module__
    assert type(build()) is own_class, "other apps of the class are not touched"
    assert instrument(app) is app
    assert app.app is app


async def test_every_reference_to_the_app_is_measured(recording: Recording) -> None:
    """Requests through a reference that is older than the call of `instrument`, and through a copy, are measured."""
    app = FastAPI()
    app.get("/x")(lambda: 1)
    older = app
    instrument(app)
    await call(older, "GET", "/x")
    await call(copy.copy(app), "GET", "/x")
    assert await recording.samples("http_requests_total") == {
        'http_requests_total{method="GET",route="/x",status="200"}': 2
    }


async def test_a_function_gets_a_wrapper_with_its_attributes(recording: Recording) -> None:
    """A function's attributes are read, set and deleted through what stands in its place."""
    assert recording

    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    wrapper: Any = instrument(app)
    wrapper.title = "shop"
    assert app.title == "shop"  # type: ignore[attr-defined]
    del app.title  # type: ignore[attr-defined]
    assert not hasattr(wrapper, "title")
    assert wrapper.__name__ == "app"
    assert wrapper.app is app
    assert copy.copy(wrapper).app is app
    assert instrument(wrapper) is wrapper
    assert entry_of(wrapper, ASGIEntry)


class _Registry(type):
    def __new__(mcs, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> Any:
        if bases:
            raise TypeError("this class can't have subclasses")
        return super().__new__(mcs, name, bases, space)


class _Final(metaclass=_Registry):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class _Awaited:
    """An ASGI app that is a class, as Starlette's endpoints are."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002
        self._send = send

    def __await__(self) -> Any:
        return self._answer().__await__()

    async def _answer(self) -> None:
        await self._send({"type": "http.response.start", "status": 202, "headers": []})
        await self._send({"type": "http.response.body", "body": b""})


async def test_a_class_that_is_an_app_is_measured(recording: Recording) -> None:
    """An app that is a class answers as before, and its requests are counted."""
    assert (await call(instrument(_Awaited), "GET", "/")).status_code == 202
    assert await recording.samples("http_requests_total") == {
        'http_requests_total{method="GET",route="__unmatched__",status="202"}': 1
    }


class _Named:
    """A class that counts its subclasses by name."""

    def __init_subclass__(cls) -> None:
        raise ValueError(f"there is a class {cls.__name__} already")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


@pytest.mark.parametrize("kind", [_Final, _Named])
def test_a_class_without_subclasses_gets_a_wrapper(recording: Recording, kind: type[Any]) -> None:
    """An app whose class can't have a subclass is measured through a wrapper."""
    assert recording
    app: Any = kind()
    assert instrument(app).app is app


@dataclass(frozen=True)
class _Frozen:
    """An app whose attributes can't be set."""

    status: int = 202

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def test_a_frozen_object_is_measured(recording: Recording) -> None:
    """An app that is a frozen dataclass stays the same object, and its requests are counted."""
    app = _Frozen()
    assert instrument(app) is app
    assert (await call(app, "GET", "/")).status_code == 202
    assert await recording.samples("http_requests_total") == {
        'http_requests_total{method="GET",route="__unmatched__",status="202"}': 1
    }
