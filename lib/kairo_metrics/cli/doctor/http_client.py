"""One request to the deployment, as a scraper would send it, that follows no redirect."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .finding import within

__all__ = ["Answer", "Target", "Unreachable", "fetch"]

_DEFAULT_PATH = "/api/metrics"
# More than any page of metrics; a wrong address must not fill the memory.
_LARGEST_BODY = 64 * 1024 * 1024
_CHUNK = 1 << 16
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Unreachable(Exception):
    """There was no answer of HTTP; the reason is one sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """The address of a metrics page.

    Args:
        url: `https://host`, with a path unless it is `/api/metrics`.
        headers: what every request carries; they may be secret.

    Raises:
        ValueError: the address, or a header, can't be one; the error repeats no value of a header.

    Example:
        >>> Target("https://cms.example.org").path
        '/api/metrics'
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secure: bool = field(init=False)
    host: str = field(init=False)
    port: int = field(init=False)
    path: str = field(init=False)

    def __post_init__(self) -> None:
        """Take the address apart."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            named = "the address" if "@" in self.url else repr(self.url)
            raise ValueError(f"{named} must start with https:// (or http://) and a host")
        if parts.username or parts.password or parts.fragment:
            raise ValueError("the address may hold no user, password or fragment")
        if not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            raise ValueError("the address may hold no spaces and no letters beyond ASCII: percent-encode them")
        secure = parts.scheme == "https"
        path = _DEFAULT_PATH if parts.path in {"", "/"} else parts.path
        derived = {
            "secure": secure,
            "host": parts.hostname,
            "port": parts.port or (443 if secure else 80),
            "path": f"{path}?{parts.query}" if parts.query else path,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or not value.isascii() or not value.isprintable():
                raise ValueError(f"{name!r} is no name of a header, or its value can't be sent")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Args:
        status: of HTTP.
        headers: by name in lower case; several of a name are joined by commas.
        raw: the body as it was sent.
        took_s: seconds from the request to the body's last byte, the connection included.
        received_at_s: this machine's clock when the headers came.
    """

    status: int
    headers: Mapping[str, str]
    raw: bytes
    took_s: float
    received_at_s: float

    @property
    def body(self) -> bytes:
        """The body without its compression; empty where it is broken."""
        if self.headers.get("content-encoding") != "gzip":
            return self.raw
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            return unpacker.decompress(self.raw, _LARGEST_BODY)
        except zlib.error:
            return b""

    @property
    def reason(self) -> str:
        """The first line of the body, if it is meant for people, shortened."""
        if self.is_html:
            return "a page of HTML"
        lines = self.body[:300].decode(errors="replace").splitlines()
        return lines[0] if lines else "an empty body"

    @property
    def is_html(self) -> bool:
        """Whether it is a page for browsers."""
        kind = self.headers.get("content-type", "").lower()
        return "html" in kind or self.body[:200].lstrip().lower().startswith((b"<!doctype", b"<html"))


def fetch(target: Target, headers: Mapping[str, str], limit_s: float) -> Answer:
    """Send one GET and return what is answered, be it what it may.

    Args:
        target: where to.
        headers: on top of the target's own.
        limit_s: seconds for all of it: the name, the connection and the whole body.

    Raises:
        Unreachable: there was no answer in time, or none of HTTP.
    """
    try:
        return within(limit_s, _fetch, target, headers, limit_s)
    except TimeoutError as err:
        raise Unreachable(f"there was no answer within {limit_s:g} s") from err
    except (OSError, http.client.HTTPException) as err:
        raise Unreachable(_said(err)) from err


def _fetch(target: Target, headers: Mapping[str, str], limit_s: float) -> Answer:
    started_s = time.perf_counter()
    connection = _connection(target, limit_s)
    try:
        connection.request(
            "GET", target.path, headers={"User-Agent": "kairo-metrics-doctor", **target.headers, **headers}
        )
        response = connection.getresponse()
        received_at_s = time.time()
        pieces, size = [], 0
        while size < _LARGEST_BODY and (piece := response.read(_CHUNK)):
            pieces.append(piece)
            size += len(piece)
    finally:
        connection.close()
    fields: dict[str, str] = {}
    for name, value in response.getheaders():
        known = fields.get(name.lower())
        fields[name.lower()] = f"{known}, {value}" if known else value
    return Answer(response.status, fields, b"".join(pieces), time.perf_counter() - started_s, received_at_s)


def _connection(target: Target, limit_s: float) -> http.client.HTTPConnection:
    if target.secure:
        return http.client.HTTPSConnection(
            target.host, target.port, timeout=limit_s, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(target.host, target.port, timeout=limit_s)


def _said(err: Exception) -> str:
    match err:
        case ssl.SSLCertVerificationError():
            return f"the certificate is not good: {err.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {err.reason or err}"
        case socket.gaierror():
            return "the name has no address"
        case OSError() if err.strerror:
            return err.strerror
        case http.client.BadStatusLine():
            return "what answers does not speak HTTP there"
    return str(err) or type(err).__name__
