"""`python -m grafana.dashboard`: write the dashboard's JSON; `make grafana` runs it."""

from __future__ import annotations

from . import DASHBOARD, dashboard_json

DASHBOARD.write_text(dashboard_json())
