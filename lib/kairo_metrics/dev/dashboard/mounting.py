"""Whether a project has a dashboard here, and where its numbers come from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from starlette.types import ASGIApp

from ...config.dev_settings import DevSettings
from ...hosting.function import Function
from .app import Dashboard, viewer_folder
from .history import History
from .scraper import Scraper
from .upstream import Upstream

__all__ = ["HISTORY_MINUTES", "mount"]

HISTORY_MINUTES = 15
_METRICS_PATH = "/api/metrics"


def mount(
    beside: ASGIApp, root: Path, settings: DevSettings, functions: Iterable[Function], *, own_redis: bool
) -> Dashboard | None:
    """Return the dashboard of a project, or None: it has no page, no metrics, or no token that we know.

    Args:
        beside: answers everywhere but at `/dashboard`.
        root: the project's folder.
        settings: the complete settings of the dev server.
        functions: what is served; one of them at `/api/metrics`.
        own_redis: whether the Redis is ours alone: then it is scraped from the start, not only while somebody looks.
    """
    root = root.resolve()
    if viewer_folder(root) is None:
        return None
    history = History(keep_ms=HISTORY_MINUTES * 60_000)
    if settings.prometheus_url:
        upstream = Upstream(settings.prometheus_url)
        return Dashboard(beside, root, upstream, history, told=f"from {upstream.shown}")
    metrics = next((function.app for function in functions if function.path == _METRICS_PATH), None)
    if metrics is None or settings.auth_token is None:
        return None
    scraper = Scraper(metrics, settings.auth_token, f"127.0.0.1:{settings.port}", history, always=own_redis)
    return Dashboard(beside, root, scraper, history, told=f"the last {HISTORY_MINUTES} minutes")
