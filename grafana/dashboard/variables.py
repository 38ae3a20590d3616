"""The variables at the top of the dashboard: the data source, and the label values to show."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import DatasourceVariable, QueryVariable
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import VariableModel, VariableOption, VariableRefresh, VariableSort

from .panels import SOURCE
from .queries import ENVIRONMENT

__all__ = ["INPUT", "VARIABLES"]

# The name of the input that Grafana asks for when the file is imported.
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


# An import replaces ${DS_PROMETHEUS} with the uid of the chosen data source. In a dashboard provisioned from a file the
# text stays; since it is not the uid of a data source, Grafana uses the first Prometheus data source.
_DATA_SOURCE = (
    DatasourceVariable("datasource")
    .label("Data source")
    .description("The Prometheus that scrapes the CMS.")
    .type("prometheus")
    .current(VariableOption(selected=True, text=f"${{{INPUT}}}", value=f"${{{INPUT}}}"))
)

VARIABLES: tuple[Builder[VariableModel], ...] = (
    _DATA_SOURCE,
    # "All" means the jobs with these metrics, and not ".*": other programs may have an http_requests_total too.
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
        "The route: the template of a path.",
        f"label_values(http_requests_total{{{ENVIRONMENT}}}, route)",
    ),
    _choice(
        "model",
        "Model",
        "The model that a database query reads or writes.",
        f"label_values(tenant_db_query_duration_seconds_count{{{ENVIRONMENT}}}, model)",
    ),
)
