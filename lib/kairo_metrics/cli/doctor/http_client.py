"""One request to the deployment, as a scraper sends it. Redirects are not followed."""

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

from .time_limit import within

__all__ = ["Answer", "Target", "Unreachable", "fetch"]

_DEFAULT_PATH = "/api/metrics"
# More than any page of metrics, so that a wrong address does not fill the memory.
_LARGEST_BODY = 64 * 1024 * 1024
_CHUNK = 1 << 16
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Unreachable(Exception):
    """There was no HTTP answer. The reason is one sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """The address of a metrics page.

    Args:
        url: `https://host`, with a path unless it is `/api/metrics`.
        headers: sent with every request; they may be secret.

    Raises:
        ValueError: the address or a header is malformed. The error contains no value of a header.

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
        """Split the address."""
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
    """The answer to a request.

    Args:
        status: the HTTP status.
        headers: by name in lower case; several with one name are joined by commas.
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
        """The body without its compression; empty if the compression is broken."""
        if self.headers.get("content-encoding") != "gzip":
            return self.raw
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            return unpacker.decompress(self.raw, _LARGEST_BODY)
        except zlib.error:
            return b""

    @property
    def reason(self) -> str:
        """The first line of the body, shortened; for HTML a description."""
        if self.is_html:
            return "a page of HTML"
        lines = self.body[:300].decode(errors="replace").splitlines()
        return lines[0] if lines else "an empty body"

    @property
    def is_html(self) -> bool:
        """Whether the body is HTML."""
        kind = self.headers.get("content-type", "").lower()
        return "html" in kind or self.body[:200].lstrip().lower().startswith((b"<!doctype", b"<html"))


def fetch(target: Target, headers: Mapping[str, str], limit_s: float) -> Answer:
    """Send one GET, and return the answer with any status.

    Args:
        target: the address.
        headers: added to those of the target.
        limit_s: seconds for the name lookup, the connection and the whole body together.

    Raises:
        Unreachable: there was no HTTP answer in time.
    """
    try:
        return within(limit_s, _fetch, target, headers, limit_s)
    except TimeoutError as err:
        raise Unreachable(f"there was no answer within {limit_s:g} s") from err
    except (OSError, http.client.HTTPException) as err:
        raise Unreachable(_reason(err)) from err


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


def _reason(err: Exception) -> str:
    match err:
        case ssl.SSLCertVerificationError():
            return f"the certificate is not valid: {err.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {err.reason or err}"
        case socket.gaierror():
            return "the name has no address"
        case OSError() if err.strerror:
            return err.strerror
        case http.client.BadStatusLine():
            return "the answer is not HTTP"
    return str(err) or type(err).__name__
