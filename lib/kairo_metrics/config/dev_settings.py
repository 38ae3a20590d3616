"""Settings of the dev server, which sets the variables that are missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..errors import SettingsError
from .environment import Environment

__all__ = ["DevSettings"]

_HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f:]*:[0-9a-f:.]*")
_TOKEN_SOURCE_VARIABLES = ("METRICS_AUTH_TOKEN_SECRET_ID", "METRICS_AUTH_TOKEN_PARAMETER")


@dataclass(frozen=True, slots=True, kw_only=True)
class DevSettings:
    """The settings that the dev server reads before it sets what is missing; None means not set.

    Args:
        port: the TCP port of the dev server on the loopback address (`PORT`).
        enabled: whether metrics are on (`ENABLE_METRICS`); if not set, the dev server turns them on.
        auth_token: the first accepted bearer token (`METRICS_AUTH_TOKEN`).
        auth_token_source: the name of the variable that names the token in AWS, if the token is there.
        redis_url: the Redis to use instead of a private one, from the same variables as in `Settings`.
        database_url: the database of the content (`DATABASE_URL`); by default a new SQLite file.
        prometheus_url: the Prometheus that the dashboard queries instead of its own history (`PROMETHEUS_URL`).
        hosts: host names besides the local ones that the dev server answers for (`METRICS_DEV_HOSTS`); `*` is all.

    Example:
        >>> DevSettings.from_env({"PORT": "4000"}).port
        4000
    """

    port: int = 3000
    enabled: bool | None = None
    auth_token: str | None = field(default=None, repr=False)
    auth_token_source: str | None = None
    redis_url: str | None = field(default=None, repr=False)
    database_url: str | None = field(default=None, repr=False)
    prometheus_url: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> DevSettings:
        """Read the settings from `environ`, by default the process environment.

        Raises:
            SettingsError: a variable is malformed; the error names it.
        """
        env = Environment(environ)
        tokens = env.tokens("METRICS_AUTH_TOKEN")
        enabled = env.flag("ENABLE_METRICS") if env.text("ENABLE_METRICS") else None
        return cls(
            port=env.whole("PORT", cls().port, 1, 65_535),
            enabled=enabled,
            auth_token=tokens[0] if tokens else None,
            auth_token_source=next(filter(env.text, _TOKEN_SOURCE_VARIABLES), None),
            redis_url=env.redis_url(checked=enabled is not False),
            database_url=env.text("DATABASE_URL") or None,
            prometheus_url=_prometheus_url(env.text("PROMETHEUS_URL")),
            hosts=_hosts(env.text("METRICS_DEV_HOSTS")),
        )


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(name for name in (part.strip().lower() for part in text.split(",")) if name)
    if not all(name == "*" or _HOST_NAME.fullmatch(name) for name in hosts):
        raise SettingsError(
            "METRICS_DEV_HOSTS", "must be host names without ports, such as shop.test,app.example, or *"
        )
    return hosts


def _prometheus_url(url: str) -> str | None:
    """Refuse a malformed address. The error does not repeat it, because it may hold a login."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SettingsError("PROMETHEUS_URL", "is not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError("PROMETHEUS_URL", "must be the base address of a Prometheus, such as http://127.0.0.1:9090")
    return url
