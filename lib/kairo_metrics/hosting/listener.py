"""The socket on which requests arrive."""

from __future__ import annotations

import socket

from ..errors import HostingError

__all__ = ["listen"]


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a TCP port.

    Args:
        host: an address of this machine, IPv4 or IPv6; `0.0.0.0` and `::` mean all of them.
        port: the TCP port.

    Raises:
        HostingError: nobody can listen there, such as when the port is taken.
    """
    try:
        # An address needs no look-up; a name may have several addresses, and the first is the one meant.
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Naming the protocol lets asyncio switch off Nagle's delay, which costs a kept-alive request 40 ms.
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
