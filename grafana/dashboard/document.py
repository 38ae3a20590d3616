"""The whole dashboard, as JSON that Grafana can import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from . import database, errors, golden, pipeline, routes, runbooks, saturation
from .panels import SOURCE
from .queries import ENVIRONMENT
from .variables import INPUT, VARIABLES

__all__ = ["DASHBOARD", "dashboard_json"]

DASHBOARD = Path(__file__).parent.parent / "kairo-cms-dashboard.json"

_FIRING = f'ALERTS{{{ENVIRONMENT},alertstate="firing"}}'
# The oldest Grafana that has every feature in use.
_GRAFANA = "10.4.0"
_NAMES = {"heatmap": "Heatmap", "stat": "Stat", "table": "Table", "text": "Text", "timeseries": "Time series"}


def dashboard_json() -> str:
    """Build the dashboard and return its JSON; the same code gives the same text."""
    document: dict[str, Any] = json.loads(json.dumps(_dashboard().build(), cls=JSONEncoder))
    # The SDK has no fields for these options of a Prometheus annotation.
    document["annotations"]["list"][0] |= {"titleFormat": "{{alertname}}", "tagKeys": "severity,environment"}
    kinds = sorted({panel["type"] for panel in _panels(document)} - {"row"})
    # The SDK describes a dashboard as Grafana stores it. A file for import has two more keys: what the import asks the
    # user for, and what it requires.
    wrapped = {
        "__inputs": [
            {
                "name": INPUT,
                "label": "Prometheus",
                "description": "The Prometheus that scrapes the CMS.",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": _GRAFANA},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
            *({"type": "panel", "id": kind, "name": _NAMES[kind], "version": ""} for kind in kinds),
        ],
        **document,
    }
    return json.dumps(wrapped, indent=2, ensure_ascii=False) + "\n"


def _dashboard() -> build.Dashboard:
    dashboard = (
        build.Dashboard("Kairo CMS")
        .uid("kairo-cms")
        .description("The content API, its database, and the health of the metrics themselves.")
        .tags(["kairo", "prometheus", "serverless"])
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .editable()
        .variables(list(VARIABLES))
        .annotation(
            build.AnnotationQuery().name("Alerts").datasource(SOURCE).enable(True).icon_color("red").expr(_FIRING)
        )
    )
    for number, row in enumerate((golden, routes, errors, database, saturation, pipeline)):
        dashboard.with_row(build.Row(row.TITLE).id(900 + number))
        for panel in row.PANELS:
            dashboard.with_panel(panel)
    closed = build.Row(runbooks.TITLE).id(950)
    for panel in runbooks.panels():
        closed.with_panel(panel)
    return dashboard.with_row(closed)


def _panels(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [inner for panel in document["panels"] for inner in (panel, *panel.get("panels", ()))]
