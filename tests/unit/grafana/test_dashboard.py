"""The file of the dashboard: what the code builds, what Grafana imports, and what every panel has."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import CMS, DASHBOARD, FOLDER
from lib.kairo_metrics.dev.grafana.dashboard.dashboard_json import dashboard_json
from lib.kairo_metrics.dev.grafana.dashboard.panels import RUNBOOKS
from tests.support.dashboard import DOCUMENT, PANELS, QUERIES, filled
from tests.support.prometheus_server import require

CHARTS = {number: panel for number, panel in PANELS.items() if panel["type"] != "text"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}
VARIABLES = {variable["name"]: variable for variable in DOCUMENT["templating"]["list"]}


def test_the_file_is_what_the_code_builds() -> None:
    """The file is the output of `make grafana`, without changes by hand."""
    assert (FOLDER / DASHBOARD).read_text() == dashboard_json(CMS), "run make grafana"


def test_grafanas_own_types_read_the_file() -> None:
    """Grafana's SDK knows every field of the file: reading and writing it loses nothing."""
    register_default_plugins()
    known = json.loads(json.dumps({name: value for name, value in DOCUMENT.items() if not name.startswith("__")}))
    for annotation in known["annotations"]["list"]:
        del annotation["titleFormat"], annotation["tagKeys"]  # the data source's own fields
    read = Dashboard.from_json(json.loads(json.dumps(known)))
    assert _lost(known, json.loads(json.dumps(read, cls=JSONEncoder))) == []


def _lost(part: Any, written: Any, path: str = "") -> list[str]:
    """Return where a part of the file is missing or different in what was written."""
    if isinstance(part, dict) and isinstance(written, dict):
        return [one for name, each in part.items() for one in _lost(each, written.get(name), f"{path}/{name}")]
    if isinstance(part, list) and isinstance(written, list) and len(part) == len(written):
        pairs = enumerate(zip(part, written, strict=True))
        return [one for at, (each, other) in pairs for one in _lost(each, other, f"{path}/{at}")]
    return [] if part == written else [f"{path}: {part!r} became {written!r}"]


def test_an_import_asks_for_the_data_source() -> None:
    """An import asks only for DS_PROMETHEUS, and the answer is the variable's first value."""
    [asked] = DOCUMENT["__inputs"]
    assert (asked["name"], asked["type"], asked["pluginId"]) == ("DS_PROMETHEUS", "datasource", "prometheus")
    assert VARIABLES["datasource"]["current"]["value"] == "${DS_PROMETHEUS}"
    # Other places must not use this input: a provisioned file has no import that fills it in.
    assert (FOLDER / DASHBOARD).read_text().count("${DS_PROMETHEUS}") == 2
    needed = {(item["type"], item["id"]) for item in DOCUMENT["__requires"]}
    assert needed == {
        ("grafana", "grafana"),
        ("datasource", "prometheus"),
        *(("panel", panel["type"]) for panel in PANELS.values()),
    }
    assert DOCUMENT["uid"] == "kairo-cms"
    assert DOCUMENT.get("id") is None


def test_the_variables_are_those_that_queries_use() -> None:
    """Data source, job, environment, route and model; each is used, and no query uses another variable."""
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DOCUMENT["panels"]) + json.dumps(DOCUMENT["templating"])))
    built_in = {"__rate_interval", "__range", "__all", "__dashboard", "__url_time_range", "__all_variables"}
    # $1 is a group of a regular expression; the others are shell variables in the runbooks.
    rest = {name for name in used - built_in if not name.isdigit() and not name.isupper()}
    assert rest == set(VARIABLES)
    assert list(VARIABLES) == ["datasource", "job", "environment", "route", "model"]


def test_the_rows_are_those_that_an_operator_looks_for() -> None:
    """The rows lead from what users notice to what only operators see."""
    rows = [panel["title"] for panel in DOCUMENT["panels"] if panel["type"] == "row"]
    assert rows == [
        "Golden signals",
        "Requests by route",
        "Errors by type",
        "Database",
        "Saturation",
        "The pipeline's own health",
        "Runbooks",
    ]


@pytest.mark.parametrize("number", CHARTS)
def test_a_panel_explains_itself(number: int) -> None:
    """Every panel has a title, a description, a unit of Grafana, the chosen data source, and a text for no value."""
    panel = CHARTS[number]
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert defaults["unit"] in UNITS or defaults["unit"].startswith("suffix:")
    assert defaults["thresholds"]["steps"]
    assert defaults["noValue"]
    assert panel["datasource"] == SOURCE
    assert panel["targets"]
    assert all(target["datasource"] == SOURCE for target in panel["targets"])
    letters = [target["refId"] for target in panel["targets"]]
    assert len(set(letters)) == len(letters)


def test_no_two_panels_have_one_title() -> None:
    """A title names one panel, also among those of the runbooks."""
    titles = [panel["title"] for panel in PANELS.values()]
    assert sorted(titles) == sorted(set(titles))


def test_numbers_are_unique_and_no_panel_covers_another() -> None:
    """Links point to unique panel ids, and every panel is visible."""
    outer = [panel for panel in DOCUMENT["panels"] if not panel.get("panels")]
    closed = [panel["panels"] for panel in DOCUMENT["panels"] if panel.get("panels")]
    numbers = [panel["id"] for panels in (DOCUMENT["panels"], *closed) for panel in panels]
    assert len(set(numbers)) == len(numbers)
    for panels in (outer, *closed):
        for panel in panels:
            assert 0 <= panel["gridPos"]["x"] <= 24 - panel["gridPos"]["w"], panel["title"]
        for one, other in combinations(panels, 2):
            assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[axis] < other[axis] + other[size] and other[axis] < one[axis] + one[size]
        for axis, size in (("x", "w"), ("y", "h"))
    )


def test_every_runbook_is_one_click_away() -> None:
    """The panels that show what an alert watches link to its runbook."""
    linked = set()
    for panel in CHARTS.values():
        for link in panel["links"]:
            alert = link["title"].removeprefix("Runbook: ")
            [target] = re.findall(r"^/d/\$\{__dashboard\.uid\}\?viewPanel=(\d+)&", link["url"])
            assert PANELS[int(target)]["title"] == alert
            linked.add(alert)
    assert linked == set(RUNBOOKS)


def test_latencies_ask_for_exemplars() -> None:
    """Panels with durations show exemplars, which link to traces."""
    asking = {number for number, panel in CHARTS.items() for target in panel["targets"] if target["exemplar"]}
    assert {9, 22, 23, 24, 25, 41, 43} <= asking


@pytest.mark.prometheus
def test_prometheus_parses_every_query(tmp_path: Path) -> None:
    """Prometheus parses the queries of panels, variables and annotations, with values for their variables."""
    annotations = [item["expr"] for item in DOCUMENT["annotations"]["list"]]
    lookups = [_selector(variable["query"]) for variable in VARIABLES.values() if variable["type"] == "query"]
    expressions = [filled(expr) for expr in (*QUERIES.values(), *annotations, *lookups)]
    assert not [expr for expr in expressions if re.search(r"\$(?!1\b)", expr)]
    rules = [{"record": f"query_{number}", "expr": expr} for number, expr in enumerate(expressions)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    command = [require("promtool"), "check", "rules", str(tmp_path / "queries.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _selector(query: dict[str, Any]) -> str:
    found = re.fullmatch(r"label_values\((.+), \w+\)", query["query"])
    assert found, query
    return found[1]


IDLE = {
    'http_requests_total{job="a",method="GET",route="/a",status="200"}': "5+0x30",
    'api_errors_total{job="a",method="GET",route="/a",type="http_500"}': "0+0x30",
    'tenant_db_query_duration_seconds_count{job="a",model="Entry",operation="select"}': "5+0x30",
    'tenant_db_query_duration_seconds_bucket{job="a",model="Entry",operation="select",le="0.2"}': "5+0x30",
    'kairo_clock_skew_seconds{job="a"}': "0+0x30",
    'kairo_clock_skew_seconds{job="b"}': "-8+0x30",
}
ANSWERS = {
    "Errors by route (21), A": {'{method="GET",route="/a"}': 0},
    "Routes now (26), B": {'{method="GET",route="/a"}': 0},
    "Slow queries by model (42), A": {'{model="Entry",operation="select"}': 0},
    "Slow queries (4), A": {"{}": 0},
    "Error budget spent (5), A": {"{}": 0},
    "Clock skew (67), A": {'{job="a"}': 0, '{job="b"}': -8},
}


@pytest.mark.prometheus
def test_what_is_idle_is_shown_as_it_is(tmp_path: Path) -> None:
    """A system that had requests and is idle shows its routes and models at zero, and every clock."""
    tests = [
        {
            "expr": filled(QUERIES[name]),
            "eval_time": "20m",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in answer.items()],
        }
        for name, answer in ANSWERS.items()
    ]
    series = [{"series": name, "values": values} for name, values in IDLE.items()]
    file = tmp_path / "idle.yml"
    file.write_text(yaml.safe_dump({"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": tests}]}))
    command = [require("promtool"), "test", "rules", str(file)]
    tested = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr


# The rules of Grafana's dashboard-linter, which is a program in Go: https://github.com/grafana/dashboard-linter
RATES = re.compile(r"\b(?:rate|irate|increase)\(")


@pytest.mark.parametrize("name", QUERIES)
def test_a_rate_has_the_interval_that_grafana_computes(name: str) -> None:
    """A graph's rates use $__rate_interval; what has a fixed window says so, because it shows one number for it."""
    windows = set(re.findall(r"\[((?:\$|\d+[a-z])[^\]]*)\]", QUERIES[name]))
    fixed = {"Error budget spent": {"30d"}, "Routes now": {"5m"}, "Errors in this time": {"$__range"}}
    fixed["Lost in this time"] = {"$__range"}
    assert windows <= fixed.get(name.partition(" (")[0], {"$__rate_interval"})
    assert bool(windows) == bool(RATES.search(QUERIES[name]))


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_looks_at_the_chosen_jobs_alone(name: str) -> None:
    """Each selector has the job and the environment, a counter is never shown without rate or increase."""
    names = re.findall(r"\b(?:kairo|http|api|tenant|scrape|up)\w*\{([^}]*)\}", QUERIES[name])
    assert names
    assert all('job=~"$job"' in selector and 'environment=~"$environment"' in selector for selector in names)
    counters = re.findall(r"(\w+\()?\b\w+_(?:total|count|sum|bucket)\{", QUERIES[name])
    assert set(counters) <= {"rate(", "increase("}


def test_the_dashboard_can_be_moved_to_any_grafana() -> None:
    """The data source is a variable, no uid of one is written in, and variables follow the time range."""
    uids = set(re.findall(r'"uid": "([^"]*)"', json.dumps(DOCUMENT)))
    assert uids == {"${datasource}", DOCUMENT["uid"]}
    assert [variable["type"] for variable in DOCUMENT["templating"]["list"]].count("datasource") == 1
    for variable in VARIABLES.values():
        if variable["type"] == "query":
            assert (variable["datasource"], variable["refresh"]) == (SOURCE, 2)
            assert variable["multi"]
            assert variable["includeAll"]
            assert variable["label"]
            assert variable["description"]
    assert DOCUMENT["editable"]
    assert DOCUMENT["refresh"]
    assert DOCUMENT["timezone"] == "browser"
