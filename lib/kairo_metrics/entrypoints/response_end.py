"""Letting a client see the end of its response before the flush.

Vercel's server for WSGI apps and handler classes speaks HTTP/1.0. Without a Content-Length the response ends there with
the connection, and the server closes it after the flush.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

__all__ = ["content_length", "end_connection", "end_sending", "with_content_length"]

Headers = list[tuple[str, str]]

# RFC 9110, section 8.6: responses with these statuses, and those of 1xx, have no body and no Content-Length.
_WITHOUT_BODY = {"204", "304"}


def with_content_length(method: str, status: str, headers: Headers, body: Iterable[bytes]) -> Headers:
    """Return the headers, with the body's length if it is one chunk and they lack it, as servers do (PEP 3333).

    Example:
        >>> with_content_length("GET", "200 OK", [], [b"hello"])
        [('Content-Length', '5')]
    """
    if not isinstance(body, list | tuple) or len(body) != 1 or method == "HEAD":
        return headers
    if status[:1] == "1" or status[:3] in _WITHOUT_BODY:
        return headers
    if any(name.lower() in {"content-length", "transfer-encoding"} for name, _ in headers):
        return headers
    return [*headers, ("Content-Length", str(len(body[0])))]


def content_length(headers: Headers) -> int | None:
    """Return the length of the body that the headers announce; None if they do not, or not as a number."""
    lengths = [str(value) for name, value in headers if name.lower() == "content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdecimal() else None


def end_connection(write: Callable[[bytes], Any]) -> None:
    """Send the end of the connection, if `write` writes to a socket of `http.server`; the rest of it stays open.

    Args:
        write: what `start_response` returned.
    """
    writer: Any = getattr(write, "__self__", None)
    if type(writer).__module__ == "socketserver":
        end_sending(writer)


def end_sending(connection: Any) -> None:
    """Send the end of a connection, as `http.server` does when it has handled the last request; the rest stays open.

    Args:
        connection: the socket, or what writes to it.
    """
    with suppress(OSError, ValueError):  # the client has gone
        same = socket.socket(fileno=os.dup(connection.fileno()))
        try:
            same.shutdown(socket.SHUT_WR)
        finally:
            same.close()
