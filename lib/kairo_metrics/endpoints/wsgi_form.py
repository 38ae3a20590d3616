"""The page for WSGI servers and frameworks: an ASGI endpoint behind PEP 3333."""

from __future__ import annotations

import asyncio
import os
import selectors
import threading
from asyncio import _get_running_loop, _set_running_loop
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from http import HTTPStatus
from queue import SimpleQueue
from typing import Any

from starlette.types import ASGIApp, Message

__all__ = ["WSGIForm", "close_page_loop", "has_page_loop"]

# By the id of the process, the event loop and its thread.
_loops: dict[int, tuple[asyncio.AbstractEventLoop, threading.Thread]] = {}
_starting = threading.Lock()


class WSGIForm:
    """A WSGI app that gives the answers of an ASGI app without a body in its requests.

    The ASGI app runs in one event loop for all requests, in a thread of its own, so that it keeps its connections.

    Args:
        app: the ASGI app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        messages: SimpleQueue[Message | None] = SimpleQueue()
        asked = False

        async def receive() -> Message:
            nonlocal asked
            if asked:
                await asyncio.get_running_loop().create_future()  # the client is taken to stay
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            messages.put(message)

        async def run() -> None:
            await self._app(_scope_of(environ), receive, send)

        answer = asyncio.run_coroutine_threadsafe(run(), _loop())
        answer.add_done_callback(lambda _: messages.put(None))
        start = messages.get()
        if start is None:
            answer.result()  # raises what the app has raised
            raise RuntimeError("the app has sent no response")
        status = start["status"]
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start.get("headers", ())]
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return _Body(messages, answer)


class _Body:
    """The chunks of the body; closing it waits for the work that the app does after its response."""

    def __init__(self, messages: SimpleQueue[Message | None], answer: Future[None]) -> None:
        self._messages = messages
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        while (message := self._messages.get()) is not None:
            yield message.get("body", b"")
            if not message.get("more_body", False):
                return

    def close(self) -> None:
        self._answer.result()


def _scope_of(environ: dict[str, Any]) -> dict[str, Any]:
    headers = [
        (name[5:].replace("_", "-").lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in environ.items()
        if name.startswith("HTTP_")
    ]
    path = environ.get("PATH_INFO", "").encode("latin-1")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/"),
        "method": environ["REQUEST_METHOD"],
        "scheme": environ.get("wsgi.url_scheme", "http"),
        "path": path.decode("utf-8", "replace"),
        "raw_path": path,
        "root_path": environ.get("SCRIPT_NAME", ""),
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "headers": headers,
    }


def _loop() -> asyncio.AbstractEventLoop:
    """Return this process's event loop for pages; a forked child has none of its parent's threads."""
    with _starting:
        if os.getpid() not in _loops:
            _loops.clear()
            selector = _Selector()
            loop = asyncio.SelectorEventLoop(selector)
            thread = threading.Thread(target=_run, args=(loop, selector), name="kairo_metrics page", daemon=True)
            _loops[os.getpid()] = loop, thread
            thread.start()
        return _loops[os.getpid()][0]


def has_page_loop() -> bool:
    """Tell whether this process has its event loop for pages."""
    return os.getpid() in _loops


def close_page_loop() -> None:
    """End the event loop for pages and its thread, if there is one; the next request starts another."""
    with _starting:
        loop, thread = _loops.pop(os.getpid(), (None, None))
    if loop is not None and thread is not None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Selector(selectors.DefaultSelector):
    """Lets a loop be the running one only while it runs, and not while it waits.

    The threads of gevent share one thread of the system, so a loop that runs in one of them seems to run in all. Then
    `asyncio.run` would raise in the app.
    """

    of_others: asyncio.AbstractEventLoop | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        own = _get_running_loop()
        _set_running_loop(self.of_others)
        try:
            return super().select(timeout)
        finally:
            self.of_others = _get_running_loop()
            _set_running_loop(own)


def _run(loop: asyncio.AbstractEventLoop, selector: _Selector) -> None:
    selector.of_others = _get_running_loop()
    _set_running_loop(None)
    loop.run_forever()
