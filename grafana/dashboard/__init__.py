"""The dashboard `grafana/kairo-cms-dashboard.json`, built with Grafana's SDK: one module for each row."""

from __future__ import annotations

from .document import DASHBOARD, dashboard_json

__all__ = ["DASHBOARD", "dashboard_json"]
