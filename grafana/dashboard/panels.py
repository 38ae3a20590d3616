"""Panels: the few kinds that the rows use, each with a title, a description and links to its runbooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import common as build_common
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import heatmap as build_heatmap
from grafana_foundation_sdk.builders import prometheus, stat, table, text, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, heatmap
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

from .queries import Query

__all__ = ["RUNBOOKS", "SOURCE", "Panel", "PanelSpec", "graph", "grid", "heat_map", "number", "runbook"]

Panel = Builder[models.Panel]

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
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


def number(spec: PanelSpec, query: Query, words: dict[str, str] | None = None, *, history: bool = True) -> Panel:
    """Build a panel that shows one large number.

    Args:
        spec: texts and options.
        query: the query for one series.
        words: texts that are shown instead of certain values.
        history: whether to draw the values over time behind the number; if not, only the last value is queried.
    """
    mode = common.BigValueGraphMode.AREA if history else common.BigValueGraphMode.NONE
    panel = (
        stat.Panel()
        .graph_mode(mode)
        .color_mode(common.BigValueColorMode.VALUE)
        .reduce_options(build_common.ReduceDataOptions().calcs(["last"]).fields("").values(False))
        .mappings([_absent(spec), _words(words or {})] if words else [_absent(spec)])
    )
    return _finished(panel, spec, [_target(query, "A", instant=not history)])


def graph(spec: PanelSpec, *queries: Query, stacked: bool = False, bars: bool = False) -> Panel:
    """Build a graph over time."""
    style = common.GraphThresholdsStyleMode.DASHED if spec.lines else common.GraphThresholdsStyleMode.OFF
    panel = (
        timeseries.Panel()
        .legend(
            build_common.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.TABLE)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(
            build_common.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
        .draw_style(common.GraphDrawStyle.BARS if bars else common.GraphDrawStyle.LINE)
        .fill_opacity(60 if bars else 10)
        .line_width(1)
        .show_points(common.VisibilityMode.NEVER)
        .axis_soft_min(0)
        .thresholds_style(build_common.GraphThresholdsStyleConfig().mode(style))
        .color_scheme(build.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
        .mappings([_absent(spec)])
    )
    if stacked:
        panel.stacking(build_common.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    return _finished(panel, spec, [_target(query, chr(ord("A") + at)) for at, query in enumerate(queries)])


def heat_map(spec: PanelSpec, query: Query) -> Panel:
    """Build a heat map from the buckets of a histogram."""
    panel = (
        build_heatmap.Panel()
        .calculate(False)
        .hide_from(build_common.HideSeriesConfig().tooltip(False).legend(False).viz(False))
        .color(
            build_heatmap.HeatmapColorOptions()
            .mode(heatmap.HeatmapColorMode.SCHEME)
            .scheme("Oranges")
            .scale(heatmap.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
        )
        .y_axis(build_heatmap.YAxisConfig().unit(spec.unit))
        .cell_values(build_heatmap.CellValues().unit("short"))
        .exemplars_color("rgba(255,0,255,0.7)")
        .filter_values(build_heatmap.FilterValueRange().le(1e-9))
        .show_legend()
    )
    return _finished(panel, spec, [_target(query, "A", form=PromQueryFormat.HEATMAP)])


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
    panel = (
        table.Panel()
        .show_header(True)
        .align(common.FieldTextAlignment.AUTO)
        .inspect(False)
        .mappings([_absent(spec)])
        .with_transformation(models.DataTransformerConfig("merge", options={}))
        .with_transformation(
            models.DataTransformerConfig(
                "organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": {name: at for at, name in enumerate([*keys, *renamed])},
                    "renameByName": keys | renamed,
                },
            )
        )
    )
    for title, (_, unit) in columns.items():
        panel.override_by_name(title, [models.DynamicConfigValue("unit", unit)])
    targets = [
        _target(columns[title][0], letter, form=PromQueryFormat.TABLE, instant=True)
        for letter, title in letters.items()
    ]
    return _finished(panel, spec, targets)


def runbook(alert: str, content: str) -> Panel:
    """Build a panel with one section of the runbooks."""
    return (
        text.Panel()
        .id(RUNBOOKS[alert])
        .title(alert)
        .description(f"What to do when {alert} fires.")
        .span(12)
        .height(18)
        .mode(TextMode.MARKDOWN)
        .content(content)
    )


def _finished(panel: Any, spec: PanelSpec, targets: list[prometheus.Dataquery]) -> Panel:
    """Add the parts that all panels have."""
    panel.id(spec.id).title(spec.title).description(spec.description).unit(spec.unit)
    panel.span(spec.width).height(spec.height).datasource(SOURCE).no_value(spec.absent).thresholds(
        _thresholds(spec.lines)
    )
    if spec.top is not None:
        panel.max(spec.top)
    for target in targets:
        panel.with_target(target)
    panel.links([_runbook_link(alert) for alert in spec.alerts])
    built: Panel = panel
    return built


def _target(
    query: Query, letter: str, *, form: PromQueryFormat = PromQueryFormat.TIME_SERIES, instant: bool = False
) -> prometheus.Dataquery:
    target = (
        prometheus.Dataquery()
        .ref_id(letter)
        .datasource(SOURCE)
        .expr(query.expr)
        .legend_format(query.legend)
        .format(form)
        .interval(_SCRAPE_INTERVAL)
        .exemplar(query.exemplars)
    )
    return target.instant() if instant else target.range()


def _thresholds(lines: tuple[float, float] | None) -> build.ThresholdsConfig:
    steps = [models.Threshold(None, _GREEN)]
    if lines:
        yellow, red = lines
        if yellow <= red:
            steps += [models.Threshold(yellow, _YELLOW), models.Threshold(red, _RED)]
        else:
            steps = [models.Threshold(None, _RED), models.Threshold(red, _YELLOW), models.Threshold(yellow, _GREEN)]
    return build.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _absent(spec: PanelSpec) -> models.ValueMapping:
    """Map a missing value and not-a-number to the text in `absent`."""
    result = models.ValueMappingResult(text=spec.absent, color=_GREY)
    options = models.DashboardSpecialValueMapOptions(models.SpecialValueMatch.NULL_AND_NAN, result)
    return models.SpecialValueMap(options)


def _words(words: dict[str, str]) -> models.ValueMapping:
    return models.ValueMap({value: models.ValueMappingResult(text=word) for value, word in words.items()})


def _runbook_link(alert: str) -> build.DashboardLink:
    # The link points into the dashboard itself, so it works in every Grafana.
    url = f"/d/${{__dashboard.uid}}?viewPanel={RUNBOOKS[alert]}&${{__url_time_range}}&${{__all_variables}}"
    return build.DashboardLink(f"Runbook: {alert}").type(models.DashboardLinkType.LINK).url(url)
