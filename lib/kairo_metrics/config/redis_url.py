"""Addresses of Redis: one server, several nodes of a cluster, or sentinels that know the server."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from ..errors import SettingsError

__all__ = ["Host", "RedisAddress", "check_redis_url", "read_redis_url", "without_password"]

Host = tuple[str, int]

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_BY_SENTINELS = "+sentinel"
_PORT, _SENTINEL_PORT = 6379, 26379
# The options that an address may have behind its `?`; the package sets redis-py's other options itself. An address that
# the app uses, too, may choose the version of Redis' protocol for it; this package speaks version 2 in any case.
_OPTIONS = frozenset({"db", "protocol"})
# Redis numbers its databases as a C int does; how many there are, only the server knows.
_DATABASE = re.compile(r"[0-9]{1,10}")
_LAST_DATABASE = 2**31 - 2
_TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"})
# The login before the hosts is the one for Redis. These options hold the sentinels' login, as in other clients.
_SENTINEL_LOGIN = ("sentinel_username", "sentinel_password")
_SHOWN = re.compile(
    r"(?P<scheme>rediss?(?:\+sentinel)?://|unix://)(?:[^/?#]*@)?"
    r"(?P<place>[A-Za-z0-9.-]*(?::\d+)?(?:,[A-Za-z0-9.-]+(?::\d+)?)*(?:/[^?#@]*)?)(?:[?#].*)?"
)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """The parts of an address.

    Args:
        url: the address for redis-py, with the first host only: scheme, login, database and options.
        hosts: all hosts.
        service: the name of the server among the sentinels; empty if the hosts are Redis servers.
        sentinel_url: the address of the first sentinel for redis-py: with the sentinels' login, without database.
    """

    url: str = field(repr=False)
    hosts: tuple[Host, ...] = ()
    service: str = ""
    sentinel_url: str = field(default="", repr=False)


def read_redis_url(url: str) -> RedisAddress:
    """Split an address into its parts.

    Raises:
        ValueError: a port is not a number, or a host or the name of the service is missing.

    Example:
        >>> read_redis_url("redis://user:secret@10.0.0.1:7000,10.0.0.2/0").hosts
        (('10.0.0.1', 7000), ('10.0.0.2', 6379))
        >>> address = read_redis_url("redis+sentinel://:secret@10.0.0.1,10.0.0.2/main/3?sentinel_password=other")
        >>> address.service, address.hosts[1], address.url, address.sentinel_url
        ('main', ('10.0.0.2', 26379), 'redis://:secret@10.0.0.1/3', 'redis://:other@10.0.0.1')
    """
    scheme, _, rest = url.partition("://")
    if scheme == "unix":
        return RedisAddress(url)
    # `find` returns -1 for a missing mark; the remainder turns that into the end of the text.
    end = min(rest.find(mark) % (len(rest) + 1) for mark in "/?#")
    place, tail = rest[:end], rest[end:]
    login, at, listed = place.rpartition("@")
    port = _SENTINEL_PORT if scheme.endswith(_BY_SENTINELS) else _PORT
    hosts = tuple(_host(host, port) for host in listed.split(","))
    first = listed.split(",")[0]
    if not scheme.endswith(_BY_SENTINELS):
        return RedisAddress(f"{scheme}://{login}{at}{first}{tail}", hosts)
    scheme = scheme.removesuffix(_BY_SENTINELS)
    _, _, path, query, fragment = urlsplit(tail)
    service, _, database = path.removeprefix("/").partition("/")
    if not service:
        raise ValueError("the name of the service is missing")
    options = dict(parse_qsl(query, keep_blank_values=True))
    user, password = (quote(options.pop(name, ""), safe="") for name in _SENTINEL_LOGIN)
    shared_options = {name: value for name, value in options.items() if name != "db"}
    place = f"{user}:{password}@{first}" if user or password else first
    return RedisAddress(
        urlunsplit((scheme, f"{login}{at}{first}", f"/{database}", urlencode(options), fragment)),
        hosts,
        unquote(service),
        urlunsplit((scheme, place, "", urlencode(shared_options), "")),
    )


def check_redis_url(variable: str, url: str) -> None:
    """Refuse a malformed address. The error does not repeat it, because it may hold a password.

    Args:
        variable: the variable that holds the address.
        url: the address.

    Raises:
        SettingsError: it is malformed.
    """
    if url.partition("://")[0] not in _SCHEMES or "://" not in url:
        raise SettingsError(
            variable,
            "must start with redis://, rediss:// or unix://; for sentinels redis+sentinel:// or rediss+sentinel://",
        )
    try:
        parts = urlsplit(read_redis_url(url).url)
        database = parts.path.strip("/") if parts.scheme != "unix" else ""
        whole = urlsplit(url)
        options = dict(parse_qsl(whole.query, keep_blank_values=True))
        _ = parts.port
        if "@" in whole.query or whole.fragment:
            # The start of such a password would be read as host and port, and the rest would appear in a message.
            raise ValueError("a password with ? or #")  # noqa: TRY301  the same sentence for both
    except ValueError:
        raise SettingsError(
            variable,
            "is not a URL with a number as port, or names sentinels without /<service>: "
            "percent-encode special characters in the password",
        ) from None
    for number in filter(None, (database, options.get("db", ""))):
        if not _DATABASE.fullmatch(number) or int(number) > _LAST_DATABASE:
            raise SettingsError(variable, f"must end in the number of a database, from 0 to {_LAST_DATABASE}")
    known = _OPTIONS | (_TLS_OPTIONS if parts.scheme == "rediss" else frozenset())
    known |= frozenset(_SENTINEL_LOGIN if whole.scheme.endswith(_BY_SENTINELS) else ())
    if options.get("ssl_cert_reqs", "required") not in {"none", "optional", "required"}:
        raise SettingsError(variable, "has an option ssl_cert_reqs that is not none, optional or required")
    if options.get("protocol", "2") not in {"2", "3"}:
        raise SettingsError(variable, "has an option protocol that is not 2 or 3")
    if unknown := sorted(options.keys() - known):
        raise SettingsError(
            variable, f"has an unknown option; known options are {sorted(known)}", f", not {unknown[0]!r}"
        )


def without_password(redis_url: str) -> str:
    """Return `redis_url` without its user, password and options.

    Example:
        >>> without_password("rediss://default:secret@example.com:6379/0")
        'rediss://example.com:6379/0'
        >>> without_password("redis+sentinel://:secret@10.0.0.1,10.0.0.2:26380/main")
        'redis+sentinel://10.0.0.1,10.0.0.2:26380/main'
    """
    shown = _SHOWN.fullmatch(redis_url)
    # A URL of an unknown form may hold its password anywhere.
    return f"{shown['scheme']}{shown['place']}" if shown else "at the address that is set (not shown)"


def _host(text: str, port: int) -> Host:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "localhost", parts.port or port
