"""The socket that a server listens on."""

from __future__ import annotations

import socket

from ..errors import HostingError

__all__ = ["listen"]


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a TCP port.

    Args:
        host: an IPv4 or IPv6 address of this machine; `0.0.0.0` and `::` mean all its addresses.
        port: the TCP port.

    Raises:
        HostingError: the socket can't listen there, for example because the port is taken.
    """
    try:
        # A name may have several addresses; the first one is used.
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With the protocol set, asyncio turns off Nagle's algorithm, which delays requests on an open connection.
        listener = socket.socket(family, kind, protocol or socket.IPPROTO_TCP)
    except OSError as err:
        raise HostingError(f"Can't listen on {host!r} ({err.strerror}): give an address of this machine.") from err
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as err:
        listener.close()
        raise HostingError(f"Can't listen on {host}:{port} ({err.strerror}): set PORT to a free port.") from err
    return listener
