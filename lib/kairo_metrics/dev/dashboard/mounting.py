"""Adds the dashboard to a project that can have one, and chooses the source of its data."""

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
    other_app: ASGIApp, root: Path, settings: DevSettings, functions: Iterable[Function], *, own_redis: bool
) -> Dashboard | None:
    """Return the dashboard of a project, or None if the project has no page or no metrics, or the token is in AWS.

    Args:
        other_app: serves all paths outside `/dashboard`.
        root: the project's folder.
        settings: the complete settings of the dev server.
        functions: the functions that are served; one of them at `/api/metrics`.
        own_redis: whether the Redis is private: then it is scraped all the time, not only while a page is open.
    """
    root = root.resolve()
    if viewer_folder(root) is None:
        return None
    history = History(keep_ms=HISTORY_MINUTES * 60_000)
    if settings.prometheus_url:
        upstream = Upstream(settings.prometheus_url)
        return Dashboard(other_app, root, upstream, history, source_name=f"from {upstream.address}")
    metrics = next((function.app for function in functions if function.path == _METRICS_PATH), None)
    if metrics is None or settings.auth_token is None:
        return None
    scraper = Scraper(metrics, settings.auth_token, f"127.0.0.1:{settings.port}", history, always=own_redis)
    return Dashboard(other_app, root, scraper, history, source_name=f"the last {HISTORY_MINUTES} minutes")
