# ruff: noqa: ARG001, ARG005
"""Telling ASGI, WSGI and handler classes apart, by what an app is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from fastapi import FastAPI
from flask import Flask
from litestar import Litestar
from quart import Quart
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware

from lib.kairo_metrics import Settings, instrument
from lib.kairo_metrics.entrypoints.interfaces import interface_of


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


async def asgi_with_more(prefix: str, scope: Any, receive: Any, send: Any) -> None: ...


def asgi_undecorated(scope: Any, receive: Any, send: Any) -> Any:
    return asgi(scope, receive, send)


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    return []


def wsgi_with_more(environ: Any, start_response: Any, prefix: str = "") -> list[bytes]:
    return []


def any_arguments(*args: Any, **kwargs: Any) -> Any:
    return wsgi(*args, **kwargs)


async def any_arguments_async(*args: Any, **kwargs: Any) -> None: ...


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class ASGIObject:
    async def __call__(self, *args: Any) -> None: ...

    async def method(self, scope: Any, receive: Any, send: Any) -> None: ...


class AwaitedASGI:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def __await__(self) -> Any: ...


class WSGIObject:
    def __call__(self, env: Any, start: Any) -> Any: ...

    def method(self, env: Any, start: Any) -> Any: ...


class IteratedWSGI:
    def __init__(self, environ: Any, start_response: Any) -> None: ...

    def __iter__(self) -> Any: ...


@pytest.mark.parametrize(
    "app",
    [
        FastAPI(), Starlette(), Quart("q"), Litestar(), CORSMiddleware(FastAPI()), asgi, asgi_undecorated,
        any_arguments_async, decorated(asgi), functools.partial(asgi_with_more, "x"), functools.partial(ASGIObject()),
        ASGIObject(), ASGIObject().method, AwaitedASGI,
    ],
)  # fmt: skip
def test_asgi_is_recognised(app: Any) -> None:
    """An ASGI app is taken for one, whatever kind of callable it is."""
    assert interface_of(app) == "asgi"


@pytest.mark.parametrize(
    "app",
    [
        Flask("f"), WSGIHandler.__new__(WSGIHandler), wsgi, wsgi_with_more, any_arguments, decorated(wsgi),
        functools.partial(wsgi_with_more, prefix="x"), WSGIObject(), WSGIObject().method, IteratedWSGI,
    ],
)  # fmt: skip
def test_wsgi_is_recognised(app: Any) -> None:
    """A WSGI app is taken for one, whatever kind of callable it is."""
    assert interface_of(app) == "wsgi"


@pytest.mark.parametrize("handler", [BaseHTTPRequestHandler, SimpleHTTPRequestHandler])
def test_a_handler_class_is_recognised(handler: type) -> None:
    """A class of `http.server` is taken for a handler, though calling it takes three arguments."""
    assert interface_of(handler) == "handler"


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize(
    ("thing", "part"),
    [
        (3, "not int"),
        ("app", "not str"),
        (None, "not NoneType"),
        (lambda event, context: None, "a function of an event"),
        (lambda: None, "this takes ()"),
        (lambda a, b, c, d: None, "this takes (a, b, c, d)"),
    ],
)
def test_what_is_no_app_is_refused(thing: Any, part: str, enabled: bool) -> None:
    """What is no app is refused with what it is and what measures it, with metrics on and off."""
    with pytest.raises(TypeError) as caught:
        instrument(thing, settings=Settings(enabled=enabled))
    assert part in str(caught.value)
    assert "`measured`" in str(caught.value)
