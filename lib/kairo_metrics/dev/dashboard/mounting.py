"""Adds the dashboard to a project with a metrics page, and chooses the source of its data."""

from __future__ import annotations

from starlette.types import ASGIApp

from ...config.dev_settings import DevSettings
from ...hosting.project import Project
from .app import PREFIX, Dashboard
from .document import Document
from .history import History
from .scraper import Scraper
from .upstream import Upstream

__all__ = ["HISTORY_MINUTES", "mount"]

HISTORY_MINUTES = 15
_METRICS_PATH = "/api/metrics"


def mount(
    other_app: ASGIApp, document: Document, settings: DevSettings, project: Project, *, own_redis: bool
) -> Dashboard | None:
    """Return the dashboard of a project, or None if it has no metrics page, or the token is in AWS.

    A project that has a function at `/dashboard` itself keeps the path.

    Args:
        other_app: serves all paths outside `/dashboard`.
        document: what the page shows.
        settings: the complete settings of the dev server.
        project: the functions that are served; one of them answers at `/api/metrics`.
        own_redis: whether the Redis is private: then it is scraped all the time, not only while a page is open.
    """
    if any(function.path.startswith(PREFIX) for function in project.functions):
        return None
    history = History(keep_ms=HISTORY_MINUTES * 60_000)
    if settings.prometheus_url:
        upstream = Upstream(settings.prometheus_url)
        return Dashboard(other_app, document, upstream, history, source_name=f"from {upstream.address}")
    paths = (_METRICS_PATH, project.vercel.destination(_METRICS_PATH))
    metrics = next((function for path in paths for function in project.functions if path in function.paths), None)
    if metrics is None or settings.auth_token is None:
        return None
    target = {"instance": f"127.0.0.1:{settings.port}", "job": document.job}
    scraper = Scraper(metrics.app, settings.auth_token, target, history, always=own_redis)
    return Dashboard(
        other_app,
        document,
        scraper,
        history,
        source_name=f"the last {HISTORY_MINUTES} minutes",
        # An app that gets every path has the page by `instrument(metrics_path=...)`, or has none.
        is_certain=metrics.path == _METRICS_PATH,
    )
