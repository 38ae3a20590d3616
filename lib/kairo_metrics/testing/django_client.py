"""Django's test client, which calls the views without the project's application: it is measured as that is."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from .. import instrument

__all__ = ["measured_django_client"]

_Find = Callable[[], list[tuple[Any, dict[str, Any]]]]


@contextmanager
def measured_django_client(calls: _Find) -> Iterator[None]:
    """Measure in a block what Django's test clients send, if the project gives its application to `instrument`.

    Args:
        calls: returns the apps that were given to `instrument`, each with its options.
    """
    if not _is_configured():
        yield
        return
    from django.test.client import AsyncClientHandler, ClientHandler

    own_call, own_async_call = ClientHandler.__call__, AsyncClientHandler.__call__
    apps: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def app_for(handler: Any, kind: type, own: Callable[..., Any]) -> Any:
        if handler not in apps:
            options = _options_of_the_project(calls)
            apps[handler] = None if options is None else instrument(kind(handler, own), **options)
        return apps[handler]

    def call(self: Any, environ: dict[str, Any]) -> Any:
        app = app_for(self, _ClientApp, own_call)
        return own_call(self, environ) if app is None else _response(app, environ)

    async def async_call(self: Any, scope: dict[str, Any]) -> Any:
        app = app_for(self, _AsyncClientApp, own_async_call)
        return await (own_async_call(self, scope) if app is None else _async_response(app, scope))

    ClientHandler.__call__, AsyncClientHandler.__call__ = call, async_call
    try:
        yield
    finally:
        ClientHandler.__call__, AsyncClientHandler.__call__ = own_call, own_async_call


def _is_configured() -> bool:
    conf = sys.modules.get("django.conf")
    return conf is not None and bool(conf.settings.configured)


def _options_of_the_project(calls: _Find) -> Mapping[str, Any] | None:
    """Return the options with which the project's application was given to `instrument`; None if it was not."""
    from django.conf import settings
    from django.core.handlers.base import BaseHandler
    from django.utils.module_loading import import_string

    for name in ("WSGI_APPLICATION", "ASGI_APPLICATION"):
        if getattr(settings, name, None):
            import_string(getattr(settings, name))  # Django's own test runner does not import it
    return next((options for app, options in calls() if isinstance(app, BaseHandler)), None)


class _ClientApp:
    """The handler of a client as a WSGI app, which leaves the response in the environ."""

    def __init__(self, handler: Any, own_call: Callable[[Any, dict[str, Any]], Any]) -> None:
        self.app = handler  # under this name the framework behind it is found
        self._own_call = own_call

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = environ[_RESPONSE] = self._own_call(self.app, environ)
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        return [] if response.streaming else [response.content]


class _AsyncClientApp:
    """The same as an ASGI app."""

    def __init__(self, handler: Any, own_call: Callable[[Any, dict[str, Any]], Awaitable[Any]]) -> None:
        self.app = handler
        self._own_call = own_call

    async def __call__(self, scope: dict[str, Any], _receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        response = scope[_RESPONSE] = await self._own_call(self.app, scope)
        await send({"type": "http.response.start", "status": response.status_code, "headers": []})
        await send({"type": "http.response.body", "body": b"" if response.streaming else response.content})


_RESPONSE = "kairo_metrics.testing.response"


def _response(app: Any, environ: dict[str, Any]) -> Any:
    body = app(environ, lambda *_: lambda _: None)
    for _ in body:
        pass
    if hasattr(body, "close"):
        body.close()
    return environ.pop(_RESPONSE)


async def _async_response(app: Any, scope: dict[str, Any]) -> Any:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        """Leave it: the response itself is in the scope."""

    await app(scope, receive, send)
    return scope.pop(_RESPONSE)
