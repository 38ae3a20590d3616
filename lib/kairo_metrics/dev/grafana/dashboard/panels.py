"""Panels: the few kinds that the rows use, each with a title, a description and links to its runbooks.

They are plain dictionaries, so that the package needs no library for them. Tests check them against the types of
Grafana's own packages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .queries import Query

__all__ = ["RUNBOOKS", "SOURCE", "Panel", "PanelSpec", "graph", "grid", "heat_map", "number", "runbook"]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# The scrape interval, from which Grafana derives $__rate_interval and the steps of a graph.
_SCRAPE_INTERVAL = "30s"
_GREEN, _YELLOW, _RED, _GREY = "green", "yellow", "red", "text"

# Alert -> the id of the panel with its runbook. Links point to the id, so an id is never used again.
RUNBOOKS = {
    "HighErrorRate": 1001,
    "SlowQueries": 1002,
    "HighLatency": 1003,
    "ErrorBudgetBurnsFast": 1004,
    "ErrorBudgetBurnsSlowly": 1005,
    "MetricsDown": 1006,
    "MetricsAbsent": 1007,
    "MetricsVanished": 1008,
    "SamplesLost": 1009,
    "StoreWentBack": 1010,
    "RepliesLost": 1011,
    "SeriesOverflow": 1012,
    "SeriesNearLimit": 1013,
    "StoreMemoryNearLimit": 1014,
    "ClockSkew": 1015,
    "SeriesDamaged": 1016,
    "SlowScrape": 1017,
    "TokenReadsFail": 1018,
    "PushesFail": 1019,
}


@dataclass(frozen=True, slots=True)
class PanelSpec:
    """The texts and options of a panel.

    Args:
        id: the id of the panel; it never changes, because links point to it.
        title: a few words.
        description: what is shown, where it comes from, and which values are good.
        unit: Grafana's name of the unit.
        width: the width in columns; a row has 24.
        height: the height in rows of 30 pixels.
        lines: the thresholds for yellow and for red; if the first is larger, small values are bad.
        alerts: the alerts whose runbooks the panel links to.
        absent: the text that is shown if there is no value.
        top: the largest possible value, such as 1 for a share.
        about: the part of a system that it shows; empty for what every system has.
    """

    id: int
    title: str
    description: str
    unit: str
    width: int = 8
    height: int = 8
    lines: tuple[float, float] | None = None
    alerts: tuple[str, ...] = ()
    absent: str = "nothing yet"
    top: float | None = None
    about: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel before it has its place.

    Args:
        spec: its texts and options.
        type: Grafana's name of its kind.
        queries: the query for each target, and further fields of the target.
        options: the options of its kind.
        defaults: further settings of all its fields.
        overrides: settings of single fields.
        transformations: what happens to the results before they are drawn.
    """

    spec: PanelSpec
    type: str
    queries: tuple[tuple[Query, Mapping[str, Any]], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[Mapping[str, Any], ...] = ()
    transformations: tuple[Mapping[str, Any], ...] = ()

    def model(self, place: Mapping[str, int], parts_left_out: frozenset[str], alerts: frozenset[str]) -> dict[str, Any]:
        """Return the panel of the dashboard's JSON.

        Args:
            place: x, y, w and h on the grid.
            parts_left_out: queries about these parts are left out.
            alerts: links lead to these alerts' runbooks only.
        """
        spec = self.spec
        made: dict[str, Any] = {
            "id": spec.id,
            "type": self.type,
            "title": spec.title,
            "description": spec.description,
            "transparent": False,
            "gridPos": dict(place),
            "options": dict(self.options),
        }
        if self.type == "text":
            return made
        targets = [
            {
                "refId": chr(ord("A") + at),
                "datasource": SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
                "interval": _SCRAPE_INTERVAL,
                "exemplar": query.exemplars,
                **more,
            }
            for at, (query, more) in enumerate(self.queries)
            if query.about not in parts_left_out
        ]
        return made | {
            "datasource": SOURCE,
            "targets": targets,
            "links": [_runbook_link(alert) for alert in spec.alerts if alert in alerts],
            "fieldConfig": {"defaults": self._defaults(), "overrides": list(self.overrides)},
            **({"transformations": list(self.transformations)} if self.transformations else {}),
        }

    def _defaults(self) -> dict[str, Any]:
        spec = self.spec
        return {
            "unit": spec.unit,
            "noValue": spec.absent,
            # A missing value and not-a-number are this text, too.
            "mappings": [
                {
                    "type": "special",
                    "options": {"match": "null+nan", "result": {"text": spec.absent, "color": _GREY}},
                }
            ],
            "thresholds": {"mode": "absolute", "steps": _steps(spec.lines)},
            **({} if spec.top is None else {"max": spec.top}),
            **self.defaults,
        }


def number(spec: PanelSpec, query: Query, words: dict[str, str] | None = None, *, history: bool = True) -> Panel:
    """Build a panel that shows one large number.

    Args:
        spec: texts and options.
        query: the query for one series.
        words: texts that are shown instead of certain values.
        history: whether to draw the values over time behind the number; if not, only the last value is queried.
    """
    mapped = {value: {"text": word} for value, word in (words or {}).items()}
    absent = {"type": "special", "options": {"match": "null+nan", "result": {"text": spec.absent, "color": _GREY}}}
    return Panel(
        spec,
        "stat",
        ((query, _form("time_series", instant=not history)),),
        options={
            "graphMode": "area" if history else "none",
            "colorMode": "value",
            "justifyMode": "auto",
            "textMode": "auto",
            "wideLayout": True,
            "showPercentChange": False,
            "percentChangeColorMode": "standard",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["last"], "values": False, "fields": ""},
        },
        defaults={"mappings": [absent, {"type": "value", "options": mapped}]} if mapped else {},
    )


def graph(
    spec: PanelSpec,
    *queries: Query,
    stacked: bool = False,
    bars: bool = False,
    colours: Mapping[str, str] | None = None,
) -> Panel:
    """Build a graph over time.

    Args:
        spec: texts and options.
        queries: each for one or more series.
        stacked: whether series stand on one another.
        bars: whether to draw bars instead of lines.
        colours: a regular expression for the names of series -> the colour that means what they are.
    """
    # Thresholds of graphs are grey: in colours they would look like series.
    lines = sorted(spec.lines or ())
    plain = [{"value": None, "color": "transparent"}, *({"value": _plain(line), "color": _GREY} for line in lines)]
    return Panel(
        spec,
        "timeseries",
        tuple((query, _form("time_series")) for query in queries),
        options={
            "legend": {
                "displayMode": "table",
                "placement": "bottom",
                "showLegend": True,
                "calcs": ["lastNotNull", "max"],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        defaults={
            "color": {"mode": "palette-classic"},
            "thresholds": {"mode": "absolute", "steps": plain},
            "custom": {
                "drawStyle": "bars" if bars else "line",
                "fillOpacity": 60 if bars else 10,
                "lineWidth": 1,
                "showPoints": "never",
                "axisSoftMin": 0,
                "thresholdsStyle": {"mode": "dashed" if spec.lines else "off"},
                **({"stacking": {"mode": "normal", "group": "A"}} if stacked else {}),
            },
        },
        overrides=tuple(_coloured(pattern, colour) for pattern, colour in (colours or {}).items()),
    )


def heat_map(spec: PanelSpec, query: Query) -> Panel:
    """Build a heat map from the buckets of a histogram."""
    return Panel(
        spec,
        "heatmap",
        ((query, _form("heatmap")),),
        options={
            "calculate": False,
            "cellGap": 1,
            "cellValues": {"unit": "short"},
            "color": {
                "mode": "scheme",
                "scheme": "Oranges",
                "scale": "exponential",
                "exponent": 0.5,
                "steps": 64,
                "fill": "",
                "reverse": False,
            },
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "filterValues": {"le": 1e-9},
            "legend": {"show": True},
            "selectionMode": "x",
            "showValue": "auto",
            "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": False},
            "yAxis": {"unit": spec.unit},
        },
        defaults={"custom": {"hideFrom": {"tooltip": False, "legend": False, "viz": False}}},
    )


def grid(spec: PanelSpec, columns: dict[str, tuple[Query, str]], keys: dict[str, str]) -> Panel:
    """Build a table with a row for each label set, and a column for each query.

    Args:
        spec: texts and options.
        columns: the title of each column -> its query, and the unit of its values.
        keys: the label of each further column -> its title.
    """
    letters = {chr(ord("A") + at): title for at, title in enumerate(columns)}
    single = len(columns) == 1
    renamed = {"Value" if single else f"Value #{letter}": title for letter, title in letters.items()}
    organized = {
        "excludeByName": {"Time": True},
        "indexByName": {name: at for at, name in enumerate([*keys, *renamed])},
        "renameByName": keys | renamed,
    }
    return Panel(
        spec,
        "table",
        tuple((query, _form("table", instant=True)) for query, _ in columns.values()),
        options={
            "showHeader": True,
            "cellHeight": "sm",
            "frameIndex": 0,
            "showTypeIcons": False,
        },
        defaults={"custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}},
        overrides=tuple(
            {"matcher": {"id": "byName", "options": title}, "properties": [{"id": "unit", "value": unit}]}
            for title, (_, unit) in columns.items()
        ),
        transformations=({"id": "merge", "options": {}}, {"id": "organize", "options": organized}),
    )


def runbook(alert: str, content: str) -> Panel:
    """Build a panel with one section of the runbooks."""
    spec = PanelSpec(RUNBOOKS[alert], alert, f"What to do when {alert} fires.", "", width=12, height=18)
    return Panel(spec, "text", options={"mode": "markdown", "content": content})


def _form(name: str, *, instant: bool = False) -> dict[str, Any]:
    return {"format": name, "instant": instant, "range": not instant}


def _coloured(pattern: str, colour: str) -> dict[str, Any]:
    # Several series of one colour are told apart by its shades.
    mode = "fixed" if pattern.endswith("$") else "shades"
    colouring = {"id": "color", "value": {"mode": mode, "fixedColor": colour}}
    return {"matcher": {"id": "byRegexp", "options": f"/{pattern}/"}, "properties": [colouring]}


def _steps(lines: tuple[float, float] | None) -> list[dict[str, Any]]:
    if lines is None:
        colours: list[tuple[float | None, str]] = [(None, _GREEN)]
    elif lines[0] <= lines[1]:
        colours = [(None, _GREEN), (lines[0], _YELLOW), (lines[1], _RED)]
    else:
        colours = [(None, _RED), (lines[1], _YELLOW), (lines[0], _GREEN)]
    return [{"value": _plain(value), "color": colour} for value, colour in colours]


def _plain(value: float | None) -> float | None:
    return value if value is None else round(value, 9)  # 0.8 * 0.75 is 0.6000000000000001


def _runbook_link(alert: str) -> dict[str, Any]:
    # The link points into the dashboard itself, so it works in every Grafana.
    return {
        "title": f"Runbook: {alert}",
        "type": "link",
        "url": f"/d/${{__dashboard.uid}}?viewPanel={RUNBOOKS[alert]}&${{__url_time_range}}&${{__all_variables}}",
        "icon": "",
        "tooltip": "",
        "tags": [],
        "asDropdown": False,
        "targetBlank": False,
        "includeVars": False,
        "keepTime": False,
    }
