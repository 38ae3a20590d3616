"""The dashboard, the alert rules and the runbooks of the CMS, written by `lib/kairo_metrics/dev/grafana/`."""

from __future__ import annotations

from pathlib import Path

from lib.kairo_metrics.dev.grafana.system import System

__all__ = ["CMS", "DASHBOARD", "FOLDER"]

FOLDER = Path(__file__).parent
DASHBOARD = "kairo-cms-dashboard.json"

CMS = System(
    job="kairo-cms.*",  # as in every scrape config of this repository
    title="Kairo CMS",
    runbooks="grafana/runbooks.md",
    command=".venv/bin/python -m lib.kairo_metrics",
    domain="cms.example",
    written_by="make grafana (grafana/__init__.py has the jobs, and may have thresholds)",
)
