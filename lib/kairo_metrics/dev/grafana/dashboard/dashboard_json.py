"""The whole dashboard, as JSON that Grafana can import."""

from __future__ import annotations

import json
from typing import Any

from ..rules.rule_files import alerts_of
from ..runbooks import sections
from ..system import System
from . import database_row, error_row, golden_row, pipeline_row, route_row, saturation_row
from .grid_places import placed
from .panels import SOURCE, Panel, runbook
from .queries import ENVIRONMENT
from .variables import INPUT, variables

__all__ = ["dashboard_json"]

_FIRING = f'ALERTS{{{ENVIRONMENT},alertstate="firing"}}'
# The oldest Grafana that has every feature in use.
_GRAFANA = "10.4.0"
_SCHEMA = 41
_NAMES = {"heatmap": "Heatmap", "stat": "Stat", "table": "Table", "text": "Text", "timeseries": "Time series"}
# The id of each row; like those of panels it never changes.
_ROWS = {
    900: golden_row,
    901: route_row,
    902: error_row,
    903: database_row,
    904: saturation_row,
    905: pipeline_row,
}
_RUNBOOKS_ID = 950


def dashboard_json(system: System) -> str:
    """Build the dashboard of a system and return its JSON; the same system gives the same text."""
    document = _filled(_document(system), system)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _document(system: System) -> dict[str, Any]:
    panels = _panels(system)
    inner = [each for panel in panels for each in (panel, *panel.get("panels", ()))]
    kinds = sorted({panel["type"] for panel in inner} - {"row"})
    return {
        # What an import asks the user for, and what it requires.
        "__inputs": [
            {
                "name": INPUT,
                "label": "Prometheus",
                "description": "The Prometheus that scrapes @{title}.",
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
        "uid": system.uid,
        "title": "@{title}",
        "description": "The requests of @{title}, its database, and the health of the metrics themselves.",
        "tags": ["kairo", "prometheus", "serverless"],
        "schemaVersion": _SCHEMA,
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "annotations": {"list": [_alerts()]},
        "templating": {"list": variables(system)},
        "panels": panels,
    }


def _alerts() -> dict[str, Any]:
    return {
        "name": "Alerts",
        "datasource": SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "red",
        "expr": _FIRING,
        "titleFormat": "{{alertname}}",
        "tagKeys": "severity,environment",
    }


def _panels(system: System) -> list[dict[str, Any]]:
    alerts = frozenset(alert.name for alert in alerts_of(system))
    made: list[dict[str, Any]] = []
    top = 0
    for number, row in _ROWS.items():
        had = [panel for panel in row.panels(system.thresholds) if system.has(panel.spec.about)]
        if had:
            made.append(_row(number, row.TITLE, top))
            made += _placed(had, top + 1, system.without, alerts)
            top = _end(made)
    texts = [runbook(alert, content) for alert, content in sections(system).items()]
    return [*made, _row(_RUNBOOKS_ID, "Runbooks", top, _placed(texts, top + 1, system.without, alerts))]


def _placed(
    panels: list[Panel], top: int, parts_left_out: frozenset[str], alerts: frozenset[str]
) -> list[dict[str, Any]]:
    return [panel.model(place, parts_left_out, alerts) for panel, place in placed(panels, top)]


def _row(number: int, title: str, top: int, closed: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return a row; with panels inside it is closed at first."""
    return {
        "type": "row",
        "id": number,
        "title": title,
        "collapsed": bool(closed),
        "gridPos": {"h": 1, "w": 24, "x": 0, "y": top},
        "panels": closed or [],
    }


def _end(panels: list[dict[str, Any]]) -> int:
    places: list[dict[str, int]] = [panel["gridPos"] for panel in panels]
    return max(place["y"] + place["h"] for place in places)


def _filled(part: Any, system: System) -> Any:
    """Fill in every text of the document."""
    if isinstance(part, str):
        return system.filled(part)
    if isinstance(part, list):
        return [_filled(each, system) for each in part]
    if isinstance(part, dict):
        return {name: _filled(each, system) for name, each in part.items()}
    return part
