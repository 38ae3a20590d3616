"""Addresses of Redis: of one server, of several nodes of a cluster, or of the sentinels that know where it is."""

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
# What may follow the `?` of the address; the rest of redis-py's options are ours to choose.
_OPTIONS = frozenset({"db"})
_TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"})
# The login in front of the hosts is for Redis; these are the names that other clients have for the sentinels' own.
_SENTINEL_LOGIN = ("sentinel_username", "sentinel_password")
_SHOWN = re.compile(
    r"(?P<scheme>rediss?(?:\+sentinel)?://|unix://)(?:[^/?#]*@)?"
    r"(?P<place>[A-Za-z0-9.-]*(?::\d+)?(?:,[A-Za-z0-9.-]+(?::\d+)?)*(?:/[^?#@]*)?)(?:[?#].*)?"
)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """An address, taken apart.

    Args:
        url: as redis-py takes it, with the first host: scheme, login, database and options.
        hosts: all of them.
        service: the name under which sentinels know the server; empty where the hosts are the server itself.
        sentinel_url: how sentinels are reached, as redis-py takes it: with a login of their own, and without database.
    """

    url: str = field(repr=False)
    hosts: tuple[Host, ...] = ()
    service: str = ""
    sentinel_url: str = field(default="", repr=False)


def read_redis_url(url: str) -> RedisAddress:
    """Take an address apart.

    Raises:
        ValueError: a port is no number, or a host or the service's name is missing.

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
    # Where nothing of that is found, the place goes on to the end.
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
    of_both = {name: value for name, value in options.items() if name != "db"}
    place = f"{user}:{password}@{first}" if user or password else first
    return RedisAddress(
        urlunsplit((scheme, f"{login}{at}{first}", f"/{database}", urlencode(options), fragment)),
        hosts,
        unquote(service),
        urlunsplit((scheme, place, "", urlencode(of_both), "")),
    )


def check_redis_url(variable: str, url: str) -> None:
    """Refuse an address that can't work, without repeating it: it holds a password.

    Args:
        variable: where it comes from.
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
        told = urlsplit(url)
        options = dict(parse_qsl(told.query, keep_blank_values=True))
        for number in filter(None, (str(parts.port or ""), database, options.get("db", ""))):
            int(number)
        if "@" in told.query or told.fragment:
            # The beginning of such a password would be taken for a host and a port, and its rest be told.
            raise ValueError("a password with ? or #")  # noqa: TRY301  the same sentence for both
    except ValueError:
        raise SettingsError(
            variable,
            "is no URL with a number for port and database, or has sentinels without /<service> behind them: "
            "percent-encode what is special in its password",
        ) from None
    known = _OPTIONS | (_TLS_OPTIONS if parts.scheme == "rediss" else frozenset())
    known |= frozenset(_SENTINEL_LOGIN if told.scheme.endswith(_BY_SENTINELS) else ())
    if options.get("ssl_cert_reqs", "required") not in {"none", "optional", "required"}:
        raise SettingsError(variable, "has an option ssl_cert_reqs that is not none, optional or required")
    if unknown := sorted(options.keys() - known):
        raise SettingsError(
            variable, f"has an option that is not known here: {unknown[0]!r}; known are {sorted(known)}"
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
    # A URL of an unknown shape may hold its password anywhere.
    return f"{shown['scheme']}{shown['place']}" if shown else "at the address that is set (not shown)"


def _host(text: str, port: int) -> Host:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "localhost", parts.port or port
