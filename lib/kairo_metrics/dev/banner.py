"""The text that the dev server prints at its start: addresses, the token, and lines to paste."""

from __future__ import annotations

import json
import shlex

from ..config.dev_settings import DevSettings
from ..config.redis_url import without_password
from ..hosting.project import Project
from .dashboard.app import PREFIX

__all__ = ["banner", "scrape_config"]

_METRICS_PATH = "/api/metrics"
_PRIVATE = " (private: it ends with this server)"


def banner(settings: DevSettings, project: Project, job: str, *, own_redis: bool, dashboard: str = "") -> str:
    """Return the text. It shows the token, so that it can be pasted, and never the password of Redis.

    Args:
        settings: the complete settings: only the token or its source is None, and perhaps the Prometheus.
        project: the functions that are served, and the rewrites to them.
        job: the name of the job in the scrape config.
        own_redis: whether the Redis is private to this server.
        dashboard: where the dashboard gets its data; empty if there is no dashboard.
    """
    base = f"http://127.0.0.1:{settings.port}"
    served = [(function.path, str(function.file)) for function in project.functions]
    addresses = served + [(rule.source, f"-> {rule.destination}") for rule in project.vercel.rewrites]
    width = max((len(address) for address, _ in addresses), default=0)
    lines = [
        "",
        *(f"  {base}{address:<{width}}  {target}" for address, target in addresses),
        "",
        *([f"  Dashboard  {base}{PREFIX}  ({dashboard})", ""] if dashboard else []),
        f"  Redis  {without_password(settings.redis_url or '')}{_PRIVATE if own_redis else ''}",
    ]
    if not settings.enabled:
        lines += ["  Metrics are off, because ENABLE_METRICS is false."]
    elif any(path == _METRICS_PATH for path, _ in served) or project.vercel.destination(_METRICS_PATH):
        token = settings.auth_token or f"<the token of {settings.auth_token_source}>"
        header = shlex.quote(f"Authorization: Bearer {token}")
        lines += [
            f"  Token  {token}",
            "",
            f"curl -H {header} {base}{_METRICS_PATH}",
            "",
            "# For prometheus.yml, below the line `scrape_configs:`",
            scrape_config(job, settings.port, token),
        ]
    return "\n".join([*lines, ""])


def scrape_config(job: str, port: int, token: str) -> str:
    """Return the entry for `scrape_configs` that makes Prometheus scrape this server."""
    # A JSON string is also a YAML string, with any characters in the token.
    return f"""\
  - job_name: {json.dumps(job)}
    metrics_path: {_METRICS_PATH}
    scheme: http
    static_configs:
      - targets: ["127.0.0.1:{port}"]
    authorization:
      type: Bearer
      credentials: {json.dumps(token)}
    scrape_interval: 30s
    scrape_timeout: 10s"""
