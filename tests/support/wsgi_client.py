"""Calls a WSGI app as a server does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from wsgiref.util import setup_testing_defaults

__all__ = ["Answer", "call_wsgi"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client gets."""

    status: str
    body: bytes
    headers: dict[str, str]


def call_wsgi(app: Any, method: str, path: str, **environ: Any) -> Answer:
    """Send one request, read the whole body, and close it."""
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, **environ}
    setup_testing_defaults(environ)
    environ.setdefault("SCRIPT_NAME", "")
    heads: list[tuple[str, dict[str, str]]] = []
    sent: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        assert exc_info is not None or not heads
        heads.append((status, dict(headers)))
        return sent.append

    body = app(environ, start_response)
    try:
        sent.extend(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return Answer(heads[-1][0], b"".join(sent), heads[-1][1])
