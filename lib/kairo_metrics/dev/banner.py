"""What the dev server prints when it is up: the addresses, the token, and lines ready to paste."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable

from ..config.dev_settings import DevSettings
from ..config.redis_url import without_password
from ..hosting.function import Function
from ..hosting.rewrites import VercelJson
from .dashboard.app import PREFIX

__all__ = ["banner", "scrape_config"]

_METRICS_PATH = "/api/metrics"
_PRIVATE = " (private: it ends with this server)"


def banner(
    settings: DevSettings, functions: Iterable[Function], vercel: VercelJson, *, own_redis: bool, dashboard: str = ""
) -> str:
    """Return the text; it shows the token, which is there to be pasted, and never a password of Redis.

    Args:
        settings: the complete settings: nothing in them is None, but for one of token and token source.
        functions: what is served.
        vercel: the rewrites that lead to them.
        own_redis: whether the Redis is private to this server.
        dashboard: where the numbers of the dashboard come from; empty if there is none.
    """
    base = f"http://127.0.0.1:{settings.port}"
    served = [(function.path, str(function.file)) for function in functions]
    addresses = served + [(rule.source, f"-> {rule.destination}") for rule in vercel.rewrites]
    width = max((len(address) for address, _ in addresses), default=0)
    lines = [
        "",
        *(f"  {base}{address:<{width}}  {target}" for address, target in addresses),
        "",
        *([f"  Dashboard  {base}{PREFIX}  ({dashboard})", ""] if dashboard else []),
        f"  Redis  {without_password(settings.redis_url or '')}{_PRIVATE if own_redis else ''}",
    ]
    if not settings.enabled:
        lines += ["  Metrics are off: ENABLE_METRICS says so."]
    elif any(path == _METRICS_PATH for path, _ in served):
        token = settings.auth_token or f"<the token of {settings.auth_token_source}>"
        header = shlex.quote(f"Authorization: Bearer {token}")
        lines += [
            f"  Token  {token}",
            "",
            f"curl -H {header} {base}{_METRICS_PATH}",
            "",
            "# For prometheus.yml, below the line `scrape_configs:`",
            scrape_config(settings.port, token),
        ]
    return "\n".join([*lines, ""])


def scrape_config(port: int, token: str) -> str:
    """Return the entry for `scrape_configs` that makes Prometheus scrape this server."""
    # A string of JSON is one of YAML too, whatever is in the token.
    return f"""\
  - job_name: kairo-cms-development
    metrics_path: {_METRICS_PATH}
    scheme: http
    static_configs:
      - targets: ["127.0.0.1:{port}"]
    authorization:
      type: Bearer
      credentials: {json.dumps(token)}
    scrape_interval: 30s
    scrape_timeout: 10s"""
