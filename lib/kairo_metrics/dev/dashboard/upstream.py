"""A real Prometheus instead of the built-in history: requests to its query API are passed on."""

from __future__ import annotations

import base64
import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

__all__ = ["TIMEOUT_S", "Call", "Reply", "Upstream"]

TIMEOUT_S = 20.0
_LONGEST_REPLY = 50_000_000
_BAD_GATEWAY = 502
_REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class Reply:
    """The response for the browser: a status and a JSON body."""

    status: int
    body: bytes


class Call:
    """A query under way."""

    def __init__(self) -> None:
        self._connection: HTTPConnection | None = None

    def connect(self, kind: type[HTTPConnection], *args: Any, **kwargs: Any) -> HTTPConnection:
        """Return the connection that the query will use."""
        self._connection = kind(*args, **kwargs)
        return self._connection

    def cancel(self) -> None:
        """End the connection, at which Prometheus stops computing; another thread may call this at any time."""
        open_socket: socket.socket | None = getattr(self._connection, "sock", None)
        if open_socket is not None:
            with suppress(OSError):  # it has just been closed
                open_socket.shutdown(socket.SHUT_RDWR)


class _Connecting(HTTPHandler, HTTPSHandler):
    """Opens the connection of a call."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    def http_open(self, request: Request) -> Any:
        return self.do_open(partial(self._call.connect, HTTPConnection), request)

    def https_open(self, request: Request) -> Any:
        return self.do_open(partial(self._call.connect, HTTPSConnection), request)


class _NoRedirect(HTTPRedirectHandler):
    """Does not follow redirects: the login must not be sent to another address."""

    def redirect_request(self, *_: object) -> None:
        return None


class Upstream:
    """Queries a Prometheus for the browser, which gets the responses and not the login.

    Args:
        url: the base address of the Prometheus; it may have a login and a path.

    Attributes:
        address: the base address without the login.

    Example:
        >>> Upstream("https://me:secret@prometheus.example.org/prometheus/").address
        'https://prometheus.example.org/prometheus'
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        self.address = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._headers = {"Accept": "application/json", "User-Agent": "kairo-metrics"}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()

    def get(self, path: str, query: str, call: Call | None = None) -> Reply:
        """Return the response to `GET /api/v1/<path>?<query>`; it fails after 20 s without data.

        Args:
            path: what to ask.
            query: the parameters, encoded.
            call: can end it before.
        """
        url = f"{self.address}/api/v1/{path}" + (f"?{query}" if query else "")
        request = Request(url, headers=self._headers)  # noqa: S310 (the setting allows only http and https)
        try:
            with build_opener(_NoRedirect, _Connecting(call or Call())).open(request, timeout=TIMEOUT_S) as response:
                return _checked(response.status, response.read(_LONGEST_REPLY + 1), response.headers)
        except HTTPError as err:
            with err:
                return _checked(err.code, err.read(_LONGEST_REPLY), err.headers)
        except (URLError, HTTPException, OSError) as err:
            return _failed(f"Prometheus at {self.address} does not answer: {getattr(err, 'reason', err)}")


def _checked(status: int, body: bytes, headers: Message) -> Reply:
    """Return a response of the API as it is, and an error for any other response."""
    if len(body) > _LONGEST_REPLY:
        return _failed("the response of Prometheus is too long: choose a shorter time range or fewer series")
    if status in _REDIRECTS:
        return _failed(f"PROMETHEUS_URL redirects to {headers.get('Location')}: set it to the final address")
    if headers.get_content_type() == "application/json":
        return Reply(status, body)
    first_line = body.decode(errors="replace").strip().partition("\n")[0][:200]
    return _failed(f"PROMETHEUS_URL is not the address of a Prometheus: it answers {status}: {first_line}")


def _failed(reason: str) -> Reply:
    return Reply(_BAD_GATEWAY, json.dumps({"status": "error", "errorType": "unavailable", "error": reason}).encode())
