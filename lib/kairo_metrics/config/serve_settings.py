"""Settings of the production server, which its host sets."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import SettingsError
from .environment import Environment, quoted

__all__ = ["ServeSettings"]

# The addresses whose X-Forwarded headers are trusted: all private ones, such as that of a host's router.
_PRIVATE_NETWORKS = "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """The settings of the production server.

    Args:
        port: the TCP port (`PORT`).
        workers: the number of processes (`WEB_CONCURRENCY`).
        trusted_proxies: addresses and networks, separated by commas, whose `X-Forwarded-For` and
            `X-Forwarded-Proto` headers are trusted; `*` trusts every address (`FORWARDED_ALLOW_IPS`).

    Example:
        >>> ServeSettings.from_env({"PORT": "5000", "WEB_CONCURRENCY": "2"}).workers
        2
    """

    port: int = 8000
    workers: int = 1
    trusted_proxies: str = _PRIVATE_NETWORKS

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> ServeSettings:
        """Read the settings from `environ`, by default the process environment.

        Raises:
            SettingsError: a variable is malformed; the error names it.
        """
        env = Environment(environ)
        return cls(
            port=env.whole("PORT", cls().port, 1, 65_535),
            workers=env.whole("WEB_CONCURRENCY", cls().workers, 1, 64),
            trusted_proxies=_networks("FORWARDED_ALLOW_IPS", env.text("FORWARDED_ALLOW_IPS")),
        )


def _networks(variable: str, value: str) -> str:
    if not value:
        return _PRIVATE_NETWORKS
    for network in value.split(",") if value != "*" else ():
        try:
            ipaddress.ip_network(network.strip())
        except ValueError:
            raise SettingsError(
                variable, "must be * or addresses and networks such as 10.0.0.0/8", f", not {quoted(network.strip())}"
            ) from None
    return value
