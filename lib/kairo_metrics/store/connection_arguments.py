"""From the address of Redis to a connection's arguments: timeouts, login, TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

from ..config.certificates import read_certificates
from ..config.settings import Settings
from ..errors import StoreError
from .command_flow import Command

__all__ = ["certificate_advice", "connection_arguments", "without_login"]

_FRUGAL = {
    "protocol": 2,  # version 3 costs a HELLO on each new connection, and nothing here needs it
    "driver_info": None,  # nor a CLIENT SETINFO
    "socket_connect_timeout": 10.0,  # where no flush budget or scrape deadline ends the attempt earlier
}
# By OpenSSL's number of what is wrong with a certificate: where no authority helps.
_BETTER_ADVICE = {
    9: "look at this machine's clock",
    10: "have it renewed",
    62: "let the address have a host that it is for",
    64: "let the address have a host that it is for",
}
# What is shorter stands in every sentence.
_SHORTEST_SECRET = 4


def connection_arguments(
    parsed: Any, settings: Settings, *, encrypted: bool, **timeouts: float | None
) -> tuple[dict[str, Any], tuple[Command, ...]]:
    """Return a connection's arguments, and apart from them the greeting: login and choice of a database.

    redis-py would wait for the answer to each of the two; together they cost a cold start one round trip.

    Args:
        parsed: what redis-py reads in the address.
        settings: whether and against what a certificate is checked.
        encrypted: whether the connection is one over TLS.
        timeouts: redis-py's arguments for them, in seconds.
    """
    arguments = {**parsed, **_FRUGAL, **timeouts}
    username, password, database = (arguments.pop(name, None) for name in ("username", "password", "db"))
    greeting: list[Command] = []
    if username or password:
        greeting.append(("AUTH", *filter(None, (username,)), password or ""))
    if database:
        greeting.append(("SELECT", database))
    if encrypted:
        if not settings.redis_tls_verify:
            arguments.update(ssl_cert_reqs="none", ssl_check_hostname=False)
        elif settings.redis_tls_ca is not None:
            arguments["ssl_ca_data"] = read_certificates(settings.redis_tls_ca)
    return arguments, tuple(greeting)


def without_login(refusal: StoreError, greeting: Iterable[Command]) -> StoreError:
    """Return the refusal of a greeting without the password: some servers repeat the arguments.

    Args:
        refusal: what the server answered.
        greeting: login and choice of a database.

    Example:
        >>> str(without_login(StoreError("unknown command AUTH, with args 'hush'"), [("AUTH", "hush")]))
        "unknown command AUTH, with args '***'"
    """
    said = str(refusal)
    for command, *words in greeting:
        password = str(words[-1])
        if command == "AUTH" and len(password) >= _SHORTEST_SECRET:
            said = said.replace(password, "***")
    refusal.args = (said,)
    return refusal


def certificate_advice(err: BaseException | None) -> str | None:
    """Return what to do if the error, or one behind it, is that the server's certificate is not trusted."""
    while err is not None:
        if isinstance(err, ssl.SSLCertVerificationError):
            advice = _BETTER_ADVICE.get(err.verify_code, "put its CA into METRICS_REDIS_TLS_CA")
            return (
                f"the certificate of Redis is not trusted ({err.verify_message}): {advice}, or set "
                "METRICS_REDIS_TLS_VERIFY=false to go without the check"
            )
        err = err.__cause__ or err.__context__
    return None
