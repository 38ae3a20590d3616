"""Row: the health of the metrics pipeline itself."""

from __future__ import annotations

from ..thresholds import Thresholds
from .panels import Panel, PanelSpec, graph, grid, number
from .queries import ENVIRONMENT, WINDOW, Query, by, otherwise, ratio

__all__ = ["TITLE", "panels"]

TITLE = "The pipeline's own health"


def _batches(outcome: str, window: str = WINDOW) -> str:
    return f'rate(kairo_batches_total{{{ENVIRONMENT},outcome="{outcome}"}}{window})'


def panels(at: Thresholds) -> tuple[Panel, ...]:
    """Return the panels of the row; `at` has the numbers at which alerts fire."""
    return (
        graph(
            PanelSpec(
                60,
                "Flushes",
                "Batches that instances sent to Redis, per second. Under load, one batch carries many requests.",
                "ops",
            ),
            Query(otherwise(by("", _batches("applied"))), "applied"),
        ),
        graph(
            PanelSpec(
                61,
                "Retries",
                "Share of the batches that were sent twice because the first reply was lost or late; they are counted "
                "once. RepliesLost warns above @{reply_percent}.",
                "percentunit",
                lines=(at.reply_share / 5, at.reply_share),
                alerts=("RepliesLost",),
            ),
            Query(otherwise(ratio("", _batches("duplicate"), _batches("applied"))), "sent twice"),
        ),
        graph(
            PanelSpec(
                62,
                "Batches that Redis lost",
                "Batches that Redis acknowledged and then lost: sent again (replayed), or not (lost). Good is zero.",
                "short",
                alerts=("StoreWentBack", "SamplesLost"),
                absent="none",
            ),
            Query(
                by("outcome", f'increase(kairo_batches_total{{{ENVIRONMENT},outcome=~"replayed|lost"}}{WINDOW})'),
                "{{outcome}}",
            ),
            bars=True,
            colours={"^lost$": "red", "^replayed$": "orange"},
        ),
        graph(
            PanelSpec(
                63,
                "Lost and restored",
                "Increments, observations and settings that could not be delivered (lost), and those that a scrape "
                "wrote "
                "back into Redis after Redis had lost them (restored), by metric. Good is zero.",
                "short",
                alerts=("SamplesLost", "StoreWentBack"),
                absent="none",
            ),
            Query(by("family", f"increase(kairo_samples_lost_total{{{ENVIRONMENT}}}{WINDOW})"), "lost: {{family}}"),
            Query(
                by("family", f"increase(kairo_samples_restored_total{{{ENVIRONMENT}}}{WINDOW})"),
                "restored: {{family}}",
            ),
            bars=True,
            colours={"^lost: ": "red"},
        ),
        graph(
            PanelSpec(
                64,
                "Overflow",
                "Updates counted in __overflow__ because the metric has too many series, by metric. Good is zero.",
                "short",
                alerts=("SeriesOverflow",),
                absent="none",
            ),
            Query(by("family", f"increase(kairo_samples_overflowed_total{{{ENVIRONMENT}}}{WINDOW})"), "{{family}}"),
            bars=True,
        ),
        graph(
            PanelSpec(
                65,
                "Series",
                "Series on the page, by metric. A line that only rises has a label whose values clients choose.",
                "short",
                alerts=("SeriesNearLimit", "SeriesOverflow"),
            ),
            Query(f"max by (family) (kairo_series{{{ENVIRONMENT}}})", "{{family}}"),
        ),
        graph(
            PanelSpec(
                66,
                "Scrape time",
                "Seconds to make the page, and until Prometheus had received it. SlowScrape warns above @{scrape_s}.",
                "s",
                lines=(at.scrape_s * 0.4, at.scrape_s),
                alerts=("SlowScrape", "MetricsDown"),
            ),
            Query(otherwise(f"max(kairo_scrape_duration_seconds{{{ENVIRONMENT}}})", "NaN"), "made"),
            Query(otherwise(f"max(scrape_duration_seconds{{{ENVIRONMENT}}})", "NaN"), "scraped"),
        ),
        graph(
            PanelSpec(
                67,
                "Clock skew",
                "Seconds by which the clock of Redis is ahead of the function's; below 0 it is behind. Good is zero.",
                "s",
                alerts=("ClockSkew",),
                absent="not scraped",
            ),
            # One line for each target: a maximum over all targets would hide a clock that is behind.
            Query(f"max by (job, environment) (kairo_clock_skew_seconds{{{ENVIRONMENT}}})", "{{job}} {{environment}}"),
        ),
        graph(
            PanelSpec(
                68,
                "Pushes and token",
                "Pushes of the metrics, and reads of the token from AWS, per second, by outcome. Most systems do "
                "neither.",
                "ops",
                absent="neither yet",
                about="push",
                alerts=("PushesFail", "TokenReadsFail"),
            ),
            Query(by("outcome", f"rate(kairo_pushes_total{{{ENVIRONMENT}}}{WINDOW})"), "push: {{outcome}}"),
            Query(by("outcome", f"rate(kairo_token_reads_total{{{ENVIRONMENT}}}{WINDOW})"), "token: {{outcome}}"),
        ),
        number(
            PanelSpec(
                69,
                "Damaged series",
                "Series that are left out of the page because their data in Redis can't be read. Good is zero.",
                "short",
                width=6,
                height=6,
                lines=(1, 1),
                alerts=("SeriesDamaged",),
            ),
            Query(otherwise(f"sum(kairo_quarantined_fields{{{ENVIRONMENT}}})"), "damaged"),
        ),
        number(
            PanelSpec(
                70,
                "Lost in this time",
                "Increments that could not be delivered in the time range of the dashboard. Good is zero.",
                "short",
                width=6,
                height=6,
                lines=(1, 1),
                alerts=("SamplesLost",),
            ),
            Query(otherwise(f"sum(increase(kairo_samples_lost_total{{{ENVIRONMENT}}}[$__range]))"), "lost"),
            history=False,
        ),
        grid(
            PanelSpec(
                71,
                "Redis",
                "Which Redis holds the state, and what it does when its memory is full. With any policy but "
                "noeviction, "
                "counters can go down.",
                "short",
                width=12,
                height=6,
                alerts=("StoreMemoryNearLimit",),
                absent="not scraped",
            ),
            {
                "Targets": (
                    Query(
                        f"count by (job, environment, version, eviction_policy) (kairo_store_info{{{ENVIRONMENT}}})", ""
                    ),
                    "short",
                )
            },
            {"job": "Job", "environment": "Environment", "version": "Version", "eviction_policy": "When full"},
        ),
    )
