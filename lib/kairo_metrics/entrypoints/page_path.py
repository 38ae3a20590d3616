"""Serving the page from the app itself: projects of one function have no other place for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from .in_place import entry_of, in_place_of
from .interfaces import Interface

__all__ = ["check_page_path", "serving_page"]


def check_page_path(interface: Interface, path: Any) -> None:
    """Refuse a path at which an app can't serve the page.

    Raises:
        TypeError: a handler class can't serve it, or the path is no text.
        ValueError: the path does not begin with a slash, or is that of the app itself.
    """
    if interface == "handler":
        raise TypeError("a handler class can't serve the page at metrics_path: give it a function of its own")
    if not isinstance(path, str):
        raise TypeError(f"metrics_path is a path such as /api/metrics, not {type(path).__name__}")
    if not path.startswith("/") or not path.rstrip("/"):
        raise ValueError(f"metrics_path is a path such as /api/metrics, not {path!r}")


def serving_page(app: Any, interface: Interface, path: str, page: Callable[[], Any]) -> Any:
    """Return the app, with the page at one path. Its requests are not measured.

    Args:
        app: the app.
        interface: the app's interface.
        path: the path, such as `/api/metrics`.
        page: builds the page's app, of the same interface, at its first request.

    Raises:
        ValueError: the app has its page at another path already.
    """
    if known := entry_of(app, _PageEntry):
        if known.path != path.rstrip("/"):
            raise ValueError(f"the app has its page at {known.path} already")
        return app
    return in_place_of(app, _PageEntry(path.rstrip("/"), page), _asgi_call if interface == "asgi" else _wsgi_call)


class _PageEntry:
    def __init__(self, path: str, page: Callable[[], Any]) -> None:
        self.path = path
        self._build = page
        self._page: Any = None

    @property
    def page(self) -> Any:
        if self._page is None:
            self._page = self._build()
        return self._page

    def is_at(self, path: str, prefix: str) -> bool:
        """Return whether it is the page's path, with or without the prefix under which the server has the app."""
        path = path.rstrip("/")
        return path == self.path or (path.startswith(prefix) and path[len(prefix) :] == self.path)


def _asgi_call(entry: _PageEntry, own_call: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        # FastAPI has a root path of its own, which beats the server's.
        prefix = getattr(self, "root_path", "") or scope.get("root_path", "")
        is_page = scope["type"] == "http" and entry.is_at(scope["path"], prefix)
        await (entry.page if is_page else partial(own_call, self))(scope, receive, send)

    return call


def _wsgi_call(entry: _PageEntry, own_call: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    def call(self: Any, environ: Any, start_response: Any) -> Iterable[bytes]:
        is_page = entry.is_at(environ.get("PATH_INFO", ""), environ.get("SCRIPT_NAME", ""))
        answer: Iterable[bytes] = (entry.page if is_page else partial(own_call, self))(environ, start_response)
        return answer

    return call
