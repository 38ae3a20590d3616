"""The arguments of a connection: the address, time limits, login and TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

from ...config.certificates import read_certificates
from ...config.settings import Settings
from ..command_flow import Command
from .node_request import Node

__all__ = ["certificate_advice", "connection_arguments", "for_node", "is_encrypted", "readable"]

_DEFAULTS = {
    "protocol": 2,  # version 3 sends a HELLO on each new connection, and nothing here needs it
    "socket_connect_timeout": 10.0,  # unless a flush budget or a scrape deadline ends the attempt earlier
}
# By OpenSSL's error number: what to do about a certificate that no additional CA makes valid.
_CERTIFICATE_ADVICE = {
    9: "look at this machine's clock",
    10: "have it renewed",
    62: "let the address have a host that it is for",
    64: "let the address have a host that it is for",
}
# A shorter password may occur in the text by chance.
_SHORTEST_SECRET = 4
# Longer than what any server is known to reply; the text becomes a line of the log and of a 503.
_LONGEST_TEXT = 300


def connection_arguments(
    parsed: Any, settings: Settings, *, encrypted: bool, **timeouts: float | None
) -> tuple[dict[str, Any], tuple[Command, ...]]:
    """Return a connection's arguments, and its handshake: the commands that log in and select the database.

    redis-py would wait for each reply; sent together, the two cost a cold start one round trip.

    Args:
        parsed: the arguments that redis-py reads in the address.
        settings: whether a certificate is checked, and with which CA.
        encrypted: whether the connection uses TLS.
        timeouts: redis-py's time limits, in seconds.
    """
    arguments = {**parsed, **_DEFAULTS, **timeouts}
    username, password, database = (arguments.pop(name, None) for name in ("username", "password", "db"))
    handshake: list[Command] = []
    if username or password:
        handshake.append(("AUTH", *filter(None, (username,)), password or ""))
    if database:
        handshake.append(("SELECT", database))
    if encrypted:
        if not settings.redis_tls_verify:
            arguments.update(ssl_cert_reqs="none", ssl_check_hostname=False)
        elif settings.redis_tls_ca is not None:
            arguments["ssl_ca_data"] = read_certificates(settings.redis_tls_ca)
    return arguments, tuple(handshake)


def for_node(parsed: Any, node: Node) -> dict[str, Any]:
    """Return the arguments in an address with the host and port of another node.

    Args:
        parsed: the arguments that redis-py reads in the address.
        node: the other node; None for the one of the address.

    Example:
        >>> for_node({"path": "/run/redis.sock", "db": 2}, ("10.0.0.7", 6379))
        {'db': 2, 'host': '10.0.0.7', 'port': 6379}
    """
    if node is None:
        return dict(parsed)
    arguments = {**parsed, "host": node[0], "port": node[1]}
    if arguments.pop("path", None) is not None:
        arguments.pop("connection_class", None)
    return arguments


def is_encrypted(url: str) -> bool:
    """Tell whether an address asks for TLS."""
    return url.startswith("rediss://")


def readable(text: str, handshake: Iterable[Command] = ()) -> str:
    r"""Return what a server said as one line for people: no control characters, not too long, without the password.

    Some servers repeat the arguments of a command that they refuse.

    Args:
        text: an error reply, or the reason why there is none.
        handshake: the commands that log in.

    Example:
        >>> readable("unknown command\x1b[31m AUTH,\n with args 'hush'", [("AUTH", "hush")])
        "unknown command [31m AUTH, with args '***'"
    """
    for command, *arguments in handshake:
        password = str(arguments[-1])
        if command == "AUTH" and len(password) >= _SHORTEST_SECRET:
            text = text.replace(password, "***")
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"


def certificate_advice(err: BaseException | None) -> str | None:
    """Return what to do if the error, or one that caused it, is an untrusted certificate; otherwise None."""
    while err is not None:
        if isinstance(err, ssl.SSLCertVerificationError):
            advice = _CERTIFICATE_ADVICE.get(err.verify_code, "put its CA into METRICS_REDIS_TLS_CA")
            return (
                f"the certificate of Redis is not trusted ({err.verify_message}): {advice}, or set "
                "METRICS_REDIS_TLS_VERIFY=false to go without the check"
            )
        err = err.__cause__ or err.__context__
    return None
