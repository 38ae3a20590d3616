"""Finding the framework behind an app, however it is wrapped."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import pytest
from flask import request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from lib.kairo_metrics.frameworks.hooks import hook, hook_in_class
from lib.kairo_metrics.frameworks.watch import is_known, match, watch
from tests.support.framework_apps import ASGI_APPS, WSGI_APPS, fastapi_app, flask_app, quart_app
from tests.support.route_probe import ASGIProbe, Asked, WSGIProbe, ask


def app() -> Starlette:
    return Starlette(routes=[Route("/a/{id}", lambda _request: PlainTextResponse("fine"))])


def with_slots(inner: Any) -> Any:
    class Slotted:
        __slots__ = ("inner",)
        inner: Any

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.inner(scope, receive, send)

    slotted: Any = Slotted()
    slotted.inner = inner
    return slotted


def with_name(name: str) -> Callable[[Any], Any]:
    class Wrapper:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await vars(self)[name](scope, receive, send)

    def wrap(inner: Any) -> Any:
        wrapper = Wrapper()
        setattr(wrapper, name, inner)
        return wrapper

    return wrap


def in_dict(inner: Any) -> Any:
    """Wrap as the `ProtocolTypeRouter` of Django's channels does."""

    class Router:
        def __init__(self) -> None:
            self.application_mapping = {"http": inner, "other": None}

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.application_mapping[scope["type"]](scope, receive, send)

    return Router()


def closure(inner: Any) -> Any:
    async def call(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    return call


def decorated(inner: Any) -> Any:
    @functools.wraps(inner.__call__)
    async def call(*arguments: Any) -> None:
        await inner(*arguments)

    return call


async def _call_first(inner: Any, scope: Any, receive: Any, send: Any) -> None:
    await inner(scope, receive, send)


def partial(inner: Any) -> Any:
    return functools.partial(_call_first, inner)


def proxy(inner: Any) -> Any:
    """Stand for the app as the proxies of wrapt do: they keep it outside of their attributes."""

    class Proxy:
        __wrapped__ = property(lambda _self: inner)

        async def __call__(self, *arguments: Any) -> None:
            await self.__wrapped__(*arguments)

    return Proxy()


def bound(inner: Any) -> Any:
    return inner.__call__


WRAPPERS: list[Callable[[Any], Any]] = [with_slots, in_dict, closure, decorated, partial, bound, proxy]
WRAPPERS += [with_name(name) for name in ("app", "_app", "application", "asgi_app", "anything", "__wrapped__")]


@pytest.mark.parametrize("wrap", WRAPPERS)
async def test_an_app_in_any_wrapper_is_found(wrap: Callable[[Any], Any]) -> None:
    """The route is known however the app is wrapped, once or three times, and so is that of a preflight."""
    for times in (1, 3):
        wrapped: Any = app()
        for _ in range(times):
            wrapped = wrap(wrapped)
        probe = ASGIProbe(wrapped)
        assert await ask(probe, "/a/1") == Asked(200, "/a/{id}")
        assert match(wrapped, {"type": "http", "path": "/a/1", "method": "GET", "headers": []}) == "/a/{id}"


GLOBAL = flask_app()
GLOBAL_API = fastapi_app()


def to_global(environ: Any, start_response: Any) -> Any:
    return GLOBAL(environ, start_response)


class ToGlobal:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await GLOBAL_API(scope, receive, send)


async def test_an_app_in_a_global_variable() -> None:
    """A function or an object that calls an app in a global variable of its module is understood."""
    assert await ask(WSGIProbe(to_global), "/items/3") == Asked(200, "/items/<int:item>")
    assert await ask(ASGIProbe(ToGlobal()), "/sites/acme/pages/3") == Asked(200, "/sites/{site}/pages/{page}")


async def test_an_app_that_can_not_be_found() -> None:
    """An app that is made at the first request is not hooked; what it leaves in the scope is enough for most routes."""
    apps: list[Any] = []

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await apps[0](scope, receive, send)

    probe = ASGIProbe(late)
    apps.append(fastapi_app())
    assert await ask(probe, "/items/3") == Asked(200, "/items/{item}")
    assert await ask(probe, "/api/v1/items/3") == Asked(200, "/api/v1/items/{item}")
    assert await ask(probe, "/nothing") == Asked(404, "__unmatched__")
    assert await ask(probe, "/sites/acme/pages/3") == Asked(200, "__unmatched__")


async def test_circles_and_odd_objects_do_no_harm() -> None:
    """A wrapper that holds itself, a mock, a proxy without a request and a hundred callbacks are no trouble."""

    class Odd:
        def __init__(self) -> None:
            self.itself = self
            self.mock = MagicMock()
            self.proxy = request
            self.callbacks = {number: (lambda: None) for number in range(1000)}
            self.inner = app()

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.inner(scope, receive, send)

    watch(Odd())
    for nothing in (None, 1, "app", print, len, lambda: None, MagicMock(), request):
        watch(nothing)
        assert not is_known(nothing)


async def test_a_hand_written_app_has_no_route() -> None:
    """Nothing is known of an app that no framework routes."""

    async def plain(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    assert await ask(ASGIProbe(plain), "/a/1") == Asked(200, "__unmatched__")


@pytest.mark.parametrize("sample", [*ASGI_APPS.values(), *WSGI_APPS.values()])
async def test_hooks_are_set_once(sample: Any) -> None:
    """An app that is watched twice tells each request once."""
    built = sample.build()
    watch(built)
    own = type(built)
    watch(built)
    assert type(built) is own
    is_wsgi = sample in WSGI_APPS.values()
    probe: Any = WSGIProbe(built) if is_wsgi else ASGIProbe(built)
    assert await ask(probe, sample.path("/items/3")) == Asked(200, sample.item)


async def test_only_the_watched_app_is_changed() -> None:
    """A framework's class, and its other apps, stay as they are."""
    for build, name in ((flask_app, "full_dispatch_request"), (quart_app, "full_dispatch_request")):
        watched, other = build(), build()
        watch(watched)
        assert name in vars(watched)
        assert name not in vars(other)
        assert name in vars(type(other))


def test_an_object_without_the_method_is_left_alone() -> None:
    """A later version of a framework that lacks a method still works; its routes are then matched after the fact."""
    assert not hook(object(), "no_such_method", lambda method: method)
    assert not hook(with_slots(None), "__call__", lambda _method: lambda: None)

    class Plain:
        def method(self) -> int:
            return 1

    plain = Plain()
    assert hook_in_class(plain, method=lambda _self: 2)
    assert not hook_in_class(plain, method=lambda _self: 3)
    assert (plain.method(), Plain().method(), isinstance(plain, Plain)) == (2, 1, True)
