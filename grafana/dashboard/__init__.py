"""The dashboard `grafana/kairo-cms-dashboard.json`, built with Grafana's own SDK: one module for each of its rows."""

from __future__ import annotations

from .document import DASHBOARD, dashboard_json

__all__ = ["DASHBOARD", "dashboard_json"]
