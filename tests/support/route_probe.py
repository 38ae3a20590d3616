"""Serves an app as an entry point does, and shows what its framework has told of the request."""

from __future__ import annotations

import asyncio
import io
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from lib.kairo_metrics.frameworks.facts import REQUEST_KEY, RequestFacts
from lib.kairo_metrics.frameworks.route import Route
from lib.kairo_metrics.frameworks.watch import watch

__all__ = ["ASGIProbe", "Asked", "WSGIProbe", "ask", "connect"]


@dataclass
class Asked:
    """One request: the status that the client got, the route, and the class of the exception that was answered."""

    status: int = 0
    route: str = ""
    error: str | None = None


class ASGIProbe:
    """Around an ASGI app, as `instrument` is."""

    def __init__(self, app: Any) -> None:
        watch(app)
        self.app = app
        self.asked: list[Asked] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan" or REQUEST_KEY in scope:
            await self.app(scope, receive, send)
            return
        asked, before = Asked(), dict(scope)
        facts = scope[REQUEST_KEY] = RequestFacts()
        self.asked.append(asked)

        async def send_message(message: Any) -> None:
            await send(message)
            asked.status = message.get("status", asked.status)
            if message["type"] in {"http.response.body", "websocket.accept"} and not message.get("more_body"):
                asked.route = Route(self.app, facts, before, scope)()  # this is when a request is counted

        left: Exception | None = None
        try:
            await self.app(scope, receive, send_message)
        except Exception as err:
            left = err
            raise
        finally:
            # What is known at the last byte does not change later.
            counted, asked.route = asked.route, Route(self.app, facts, before, scope)()
            assert counted in {"", asked.route}
            asked.error = _name(left or facts.error)


class WSGIProbe:
    """Around a WSGI app, as `instrument` is."""

    def __init__(self, app: Any) -> None:
        watch(app)
        self.app = app
        self.asked: list[Asked] = []

    def __call__(self, environ: Any, start_response: Any) -> Any:
        before = dict(environ)
        facts = environ[REQUEST_KEY] = RequestFacts()
        asked = Asked()
        self.asked.append(asked)

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            asked.status = int(status[:3])
            return start_response(status, headers, exc_info)

        left: Exception | None = None
        try:
            body = self.app(environ, start)
            yield from body
            getattr(body, "close", lambda: None)()
        except Exception as err:
            left = err
            raise
        finally:
            asked.route = Route(self.app, facts, before, environ)()
            asked.error = _name(left or facts.error)


def _name(error: BaseException | None) -> str | None:
    return None if error is None else type(error).__name__


def _ask_wsgi(transport: Any, method: str, path: str, headers: dict[str, str] | None) -> None:
    with suppress(Exception), httpx.Client(transport=transport, base_url="http://shop.example") as client:
        client.request(method, path, headers=headers)


async def ask(  # noqa: PLR0913  what a request may have
    probe: Any,
    path: str,
    method: str = "GET",
    *,
    through: Any = None,
    root_path: str = "",
    headers: dict[str, str] | None = None,
) -> Asked:
    """Send one request and return what became known of it.

    Args:
        probe: around the app.
        path: with `root_path` at its beginning, as servers give it.
        method: the method.
        through: the app that the client calls, where the probe is inside of another one.
        root_path: what the server was told, `SCRIPT_NAME` for WSGI.
        headers: the request's headers.
    """
    app = through or probe
    is_wsgi = isinstance(app, WSGIProbe) or getattr(app, "is_wsgi", False)
    transport: Any = (
        httpx.WSGITransport(app, script_name=root_path, raise_app_exceptions=False, wsgi_errors=io.StringIO())
        if is_wsgi
        else httpx.ASGITransport(app, root_path=root_path, raise_app_exceptions=False)
    )
    if is_wsgi:
        await asyncio.to_thread(_ask_wsgi, transport, method, path.removeprefix(root_path), headers)
    else:
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
            await client.request(method, path, headers=headers)
    asked: Asked = probe.asked[-1]
    return asked


async def connect(probe: ASGIProbe, path: str) -> Asked:
    """Open a websocket and close it."""
    messages = iter(("websocket.connect", "websocket.disconnect"))

    async def receive() -> dict[str, Any]:
        return {"type": next(messages), "code": 1000}

    async def send(_message: Any) -> None:
        return

    headers = [(b"host", b"shop.example"), (b"sec-websocket-version", b"13")]
    more = {"headers": headers, "query_string": b"", "scheme": "ws", "root_path": "", "subprotocols": []}
    asgi = {"version": "3.0", "spec_version": "2.3"}
    await probe({"type": "websocket", "asgi": asgi, "http_version": "1.1", "path": path, **more}, receive, send)
    return probe.asked[-1]
