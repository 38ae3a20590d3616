"""How many bytes the bodies of one request and of its response have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["BodySizes", "content_length_of", "note_sent"]

# RFC 9110, sections 9.3.2 and 6.4.1: these responses have no body, whatever an app gives to its server.
_WITHOUT_BODY = frozenset({204, 304})
_FIRST_FINAL_STATUS = 200
# A client may announce any length and send nothing; a sum must not be spoilt for ever by that.
_LONGEST_ANNOUNCED = 10**11
_LENGTH = re.compile("[0-9]{1,18}")


class BodySizes:
    """Counts the bytes of the bodies of one request and of its response, as they pass.

    Args:
        announced: the length in the request's headers; None if it is sent in chunks, or has no body.

    Attributes:
        received: the bytes that the app has read.
        sent: the bytes that the app has sent.
        response_announced: the length in the response's headers, for bodies that do not pass by: of files that the
            server sends.
    """

    __slots__ = ("announced", "received", "response_announced", "sent")

    def __init__(self, announced: int | None) -> None:
        self.announced = announced
        self.received = 0
        self.sent = 0
        self.response_announced: int | None = None

    def begin_response(self, headers: Iterable[tuple[Any, Any]]) -> None:
        """Note the headers of the response."""
        self.response_announced = content_length_of(headers)

    def of_request(self, *, client_left: bool) -> int:
        """Return the bytes of the request's body: an app need not read it to the end.

        Args:
            client_left: whether the client has left; then it may not have sent all that it has announced.
        """
        if self.announced is None or client_left or self.announced > _LONGEST_ANNOUNCED:
            return self.received
        return self.announced

    def of_response(self, method: str, status: int, *, client_left: bool) -> int:
        """Return the bytes of the response's body; one that answers `HEAD` has none.

        Args:
            method: of the request.
            status: of the response.
            client_left: whether the client has left; then what has not passed by may not have been sent.
        """
        if method == "HEAD" or status < _FIRST_FINAL_STATUS or status in _WITHOUT_BODY:
            return 0
        return self.sent or (0 if client_left else self.response_announced or 0)


def note_sent(sizes: BodySizes, message: Mapping[str, Any]) -> None:
    """Count the bytes of a message of ASGI that was sent.

    A file that the server sends by itself is known by its name, or by the length in the headers.
    """
    kind = message["type"]
    if kind == "http.response.body":
        sizes.sent += len(message.get("body", b""))
    elif kind == "http.response.pathsend":
        length = sizes.response_announced
        with suppress(OSError):  # the server may have taken it away
            sizes.sent += Path(message["path"]).stat().st_size if length is None else length
    elif kind == "http.response.zerocopysend":
        sizes.sent += message.get("count") or 0


def content_length_of(headers: Iterable[tuple[Any, Any]]) -> int | None:
    """Return the `Content-Length` of headers, whose names and values are bytes or text; None without a valid one.

    Example:
        >>> content_length_of([(b"Content-Length", b"5")])
        5
    """
    for name, value in headers:
        if len(name) == len("content-length") and name.lower() in {"content-length", b"content-length"}:
            text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
            return int(text) if _LENGTH.fullmatch(text) else None
    return None
