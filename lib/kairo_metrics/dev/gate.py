"""Refuses requests that a foreign web page makes the developer's browser send to the dev server."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["EVERY_HOST", "Gate", "host_name", "is_local"]

EVERY_HOST = "*"
# The names under which a container reaches this machine. No public DNS server can answer for them.
_FROM_CONTAINERS = {"host.docker.internal", "gateway.docker.internal", "host.containers.internal"}
_LONGEST_NAME_SHOWN = 100
_MISDIRECTED = 400
_FORBIDDEN = 403
_POLICY_VIOLATION = 1008  # RFC 6455, section 7.4.1


class Gate:
    """Lets a request through if it is for this machine and does not come from another web site.

    The `Host` must be a local name: a page that points its own name to 127.0.0.1 (DNS rebinding) is refused. The
    `Origin`, if there is one, must be local too: pages of other dev servers on this machine may ask. Without an
    `Origin`, `Sec-Fetch-Site` must not be `cross-site`. Programs such as curl and Prometheus send neither header.

    Args:
        app: gets the requests that are let through.
        hosts: further host names that count as local; `*` turns the gate off.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        is_asked = scope["type"] in {"http", "websocket"} and EVERY_HOST not in self._hosts
        refused = self._refusal(Headers(scope=scope)) if is_asked else None
        if refused and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            await (refused or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> PlainTextResponse | None:
        host, origin = headers.get("host"), headers.get("origin")
        if host is not None and not is_local(host_name(host), self._hosts):  # HTTP/1.0 has no such header
            return _refused(_MISDIRECTED, f"the host {_shown(host_name(host))} is not this dev server", host_name(host))
        if origin is not None:
            if not is_local(_name_of_origin(origin), self._hosts):
                return _refused(_FORBIDDEN, f"the request comes from {_shown(origin)}", _name_of_origin(origin))
        elif headers.get("sec-fetch-site", "").strip().lower() == "cross-site":
            return _refused(_FORBIDDEN, "the request comes from another web site; paste the address into a new tab", "")
        return None


def is_local(name: str, hosts: Collection[str] = ()) -> bool:
    """Tell whether a host name always means this machine, or is one of `hosts`.

    Of the IP addresses only those of the loopback interface are: browsers send no `Sec-Fetch-Site` to others.

    Example:
        >>> [is_local(name) for name in ("localhost", "127.0.0.1", "::1", "shop.localhost", "localhost.evil.example")]
        [True, True, True, True, False]
    """
    if name == "localhost" or name.endswith(".localhost") or name in _FROM_CONTAINERS or name in hosts:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback


def host_name(host: str) -> str:
    """Return the name in a `Host` header, without the port and in lower case; empty if it is malformed.

    Example:
        >>> host_name("[::1]:3000"), host_name("LOCALHOST.:3000"), host_name("localhost@evil.example")
        ('::1', 'localhost', '')
    """
    host = host.strip()
    if any(sign in host for sign in "/@?#\\"):
        return ""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return ""
    return (parts.hostname or "").removesuffix(".")


def _name_of_origin(origin: str) -> str:
    # A sandboxed page and a file have the origin "null", which is no host name.
    scheme, separator, host = origin.strip().partition("://")
    return host_name(host) if separator and scheme.lower() in {"http", "https"} else ""


def _refused(status: int, reason: str, name: str) -> PlainTextResponse:
    advice = f" If you use this name yourself, set METRICS_DEV_HOSTS={name}." if name and name == _shown(name) else ""
    return PlainTextResponse(f"Refused: {reason}.{advice}\n", status)


def _shown(text: str) -> str:
    """Return text of a header as it may be printed: short, and without control characters."""
    return "".join(sign if sign.isprintable() and sign.isascii() else "?" for sign in text[:_LONGEST_NAME_SHOWN])
