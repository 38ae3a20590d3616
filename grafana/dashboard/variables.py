"""The variables at the top: which Prometheus, and what part of what it knows."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import DatasourceVariable, QueryVariable
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import VariableModel, VariableOption, VariableRefresh, VariableSort

from .panels import SOURCE
from .queries import ENVIRONMENT

__all__ = ["INPUT", "VARIABLES"]

# The name of the question that Grafana asks when the file is imported.
INPUT = "DS_PROMETHEUS"
_ALL = VariableOption(selected=True, text="All", value="$__all")


def _choice(name: str, label: str, description: str, query: str, everything: str | None = ".*") -> QueryVariable:
    variable = (
        QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(SOURCE)
        .query({"query": query, "refId": f"variable-{name}", "qryType": 1})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(_ALL)
    )
    return variable if everything is None else variable.all_value(everything)


# An import puts the uid of the chosen data source in the place of ${DS_PROMETHEUS}. A dashboard that is provisioned
# from a file keeps the text; it is the uid of no data source, and so Grafana takes the first one of Prometheus.
_DATA_SOURCE = (
    DatasourceVariable("datasource")
    .label("Data source")
    .description("The Prometheus that scrapes the CMS.")
    .type("prometheus")
    .current(VariableOption(selected=True, text=f"${{{INPUT}}}", value=f"${{{INPUT}}}"))
)

VARIABLES: tuple[Builder[VariableModel], ...] = (
    _DATA_SOURCE,
    # All jobs are those that have this page, and not ".*": other programs have an http_requests_total, too.
    _choice(
        "job",
        "Job",
        "The job of the scrape config.",
        "label_values(kairo_scrape_duration_seconds, job)",
        everything=None,
    ),
    _choice(
        "environment",
        "Environment",
        'The label "environment" of the scrape target, if it has one.',
        'label_values(kairo_scrape_duration_seconds{job=~"$job"}, environment)',
    ),
    _choice(
        "route",
        "Route",
        "The template of a path.",
        f"label_values(http_requests_total{{{ENVIRONMENT}}}, route)",
    ),
    _choice(
        "model",
        "Model",
        "What a database query is about.",
        f"label_values(tenant_db_query_duration_seconds_count{{{ENVIRONMENT}}}, model)",
    ),
)
