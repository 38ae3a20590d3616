"""A real Prometheus in place of the built-in history: its read endpoints, passed on."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

__all__ = ["Reply", "Upstream"]

_TIMEOUT_S = 20.0
_LONGEST_REPLY = 50_000_000
_BAD_GATEWAY = 502
_REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the browser gets: a status and a body of JSON."""

    status: int
    body: bytes


class _NoRedirect(HTTPRedirectHandler):
    """Takes a redirect for the answer: a login must not follow it elsewhere."""

    def redirect_request(self, *_: object) -> None:
        return None


class Upstream:
    """Asks a Prometheus for the browser, which learns neither its login nor more than the answers.

    Args:
        url: its base address, perhaps with a login and a path.

    Example:
        >>> Upstream("https://me:secret@prometheus.example.org/prometheus/").shown
        'https://prometheus.example.org/prometheus'
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        address = parts.netloc.rpartition("@")[2]
        self.shown = urlunsplit((parts.scheme, address, parts.path.rstrip("/"), "", ""))
        self._headers = {"Accept": "application/json", "User-Agent": "kairo-metrics"}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        self._opener = build_opener(_NoRedirect)

    def get(self, path: str, query: str) -> Reply:
        """Return the answer to `GET /api/v1/<path>?<query>`; it blocks for 20 s at most without a sign of life."""
        address = f"{self.shown}/api/v1/{path}" + (f"?{query}" if query else "")
        request = Request(address, headers=self._headers)  # noqa: S310 (the setting allows http and https alone)
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as response:
                return _checked(response.status, response.read(_LONGEST_REPLY + 1), response.headers)
        except HTTPError as err:
            with err:
                return _checked(err.code, err.read(_LONGEST_REPLY), err.headers)
        except (URLError, HTTPException, OSError) as err:
            return _failed(f"Prometheus at {self.shown} does not answer: {getattr(err, 'reason', err)}")


def _checked(status: int, body: bytes, headers: Message) -> Reply:
    """Pass on what looks like an answer of the API, and name anything else."""
    if len(body) > _LONGEST_REPLY:
        return _failed("Prometheus' answer is too long: choose a shorter time or fewer series")
    if status in _REDIRECTS:
        return _failed(f"PROMETHEUS_URL leads to a redirect to {headers.get('Location')}: name the final address")
    if headers.get_content_type() == "application/json":
        return Reply(status, body)
    said = body.decode(errors="replace").strip().partition("\n")[0][:200]
    return _failed(f"PROMETHEUS_URL leads to something that answers {status} and is no Prometheus: {said}")


def _failed(reason: str) -> Reply:
    return Reply(_BAD_GATEWAY, json.dumps({"status": "error", "errorType": "unavailable", "error": reason}).encode())
