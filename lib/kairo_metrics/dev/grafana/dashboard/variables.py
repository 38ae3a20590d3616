"""The variables at the top of the dashboard: the data source, and the label values to show."""

from __future__ import annotations

from typing import Any

from ..system import System
from .panels import SOURCE
from .queries import ENVIRONMENT

__all__ = ["INPUT", "variables"]

# The name of the input that Grafana asks for when the file is imported.
INPUT = "DS_PROMETHEUS"
_ON_TIME_RANGE_CHANGED = 2
_ALPHABETICAL = 1
_LABEL_VALUES = 1
_OURS = 'job=~"@{job}"'


def variables(system: System) -> list[dict[str, Any]]:
    """Return the variables that the system's panels use."""
    return [
        # An import replaces ${DS_PROMETHEUS} with the uid of the chosen data source. In a dashboard provisioned from a
        # file the text stays; since it is not the uid of a data source, Grafana uses the first Prometheus data source.
        {
            "type": "datasource",
            "name": "datasource",
            "label": "Data source",
            "description": "The Prometheus that scrapes @{title}.",
            "query": "prometheus",
            "current": {"text": f"${{{INPUT}}}", "value": f"${{{INPUT}}}", "selected": True},
            "hide": 0,
            "multi": False,
            "includeAll": False,
            "refresh": 1,
            "regex": "",
            "skipUrlSync": False,
        },
        # "All" means the jobs with these metrics, and not ".*": other programs may have an http_requests_total too.
        _choice(
            "job",
            "Job",
            "The job of the scrape config.",
            f"label_values(kairo_scrape_duration_seconds{{{_OURS}}}, job)",
        ),
        _choice(
            "environment",
            "Environment",
            'The label "environment" of the scrape target, if it has one.',
            f'label_values(kairo_scrape_duration_seconds{{{_OURS},job=~"$job"}}, environment)',
            ".*",
        ),
        *(
            [
                _choice(
                    "route",
                    "Route",
                    "The route: the template of a path.",
                    f"label_values(http_requests_total{{{ENVIRONMENT}}}, route)",
                    ".*",
                )
            ]
            if system.has("requests")
            else []
        ),
        *(
            [
                _choice(
                    "model",
                    "Model",
                    "The model that a database query reads or writes.",
                    f"label_values(tenant_db_query_duration_seconds_count{{{ENVIRONMENT}}}, model)",
                    ".*",
                )
            ]
            if system.has("database")
            else []
        ),
    ]


def _choice(name: str, label: str, description: str, query: str, everything: str = "") -> dict[str, Any]:
    return {
        "type": "query",
        "name": name,
        "label": label,
        "description": description,
        "datasource": SOURCE,
        "query": {"query": query, "refId": f"variable-{name}", "qryType": _LABEL_VALUES},
        "current": {"text": "All", "value": "$__all", "selected": True},
        "hide": 0,
        "multi": True,
        "includeAll": True,
        **({"allValue": everything} if everything else {}),
        "refresh": _ON_TIME_RANGE_CHANGED,
        "regex": "",
        "sort": _ALPHABETICAL,
        "skipUrlSync": False,
    }
