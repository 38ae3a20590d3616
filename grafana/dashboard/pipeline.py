"""Row: whether the metrics themselves arrive."""

from __future__ import annotations

from .panels import Panel, Say, graph, grid, number
from .queries import ENVIRONMENT, WINDOW, Query, by, otherwise, ratio

__all__ = ["PANELS", "TITLE"]

TITLE = "The pipeline's own health"


def _batches(outcome: str, window: str = WINDOW) -> str:
    return f'rate(kairo_batches_total{{{ENVIRONMENT},outcome="{outcome}"}}{window})'


PANELS: tuple[Panel, ...] = (
    graph(
        Say(
            60,
            "Flushes",
            "Batches that instances sent to Redis, per second. Under load one carries many requests.",
            "ops",
        ),
        Query(otherwise(by("", _batches("applied"))), "applied"),
    ),
    graph(
        Say(
            61,
            "Retries",
            "Share of the batches that were sent twice, because the reply to the first time was lost or late; they "
            "count once. RepliesLost warns from 5% on.",
            "percentunit",
            lines=(0.01, 0.05),
            alerts=("RepliesLost",),
        ),
        Query(otherwise(ratio("", _batches("duplicate"), _batches("applied"))), "sent twice"),
    ),
    graph(
        Say(
            62,
            "Batches that Redis lost",
            "Batches that Redis had acknowledged and lost: sent again (replayed), or gone (lost). Good is zero.",
            "short",
            alerts=("StoreWentBack", "SamplesLost"),
        ),
        Query(
            otherwise(
                by("outcome", f'increase(kairo_batches_total{{{ENVIRONMENT},outcome=~"replayed|lost"}}{WINDOW})'),
                outcome="none",
            ),
            "{{outcome}}",
        ),
        bars=True,
    ),
    graph(
        Say(
            63,
            "Lost and restored",
            "Increments, observations and settings that could not be delivered, and those that a page wrote back into "
            "a Redis that had lost them, by metric. Good is zero.",
            "short",
            alerts=("SamplesLost", "StoreWentBack"),
        ),
        Query(
            otherwise(by("family", f"increase(kairo_samples_lost_total{{{ENVIRONMENT}}}{WINDOW})"), family="none"),
            "lost: {{family}}",
        ),
        Query(
            otherwise(by("family", f"increase(kairo_samples_restored_total{{{ENVIRONMENT}}}{WINDOW})"), family="none"),
            "restored: {{family}}",
        ),
        bars=True,
    ),
    graph(
        Say(
            64,
            "Overflow",
            "Updates that went to the series __overflow__, because the metric had too many, by metric. Good is zero.",
            "short",
            alerts=("SeriesOverflow",),
        ),
        Query(
            otherwise(
                by("family", f"increase(kairo_samples_overflowed_total{{{ENVIRONMENT}}}{WINDOW})"), family="none"
            ),
            "{{family}}",
        ),
        bars=True,
    ),
    graph(
        Say(
            65,
            "Series",
            "Series on the page, by metric. A line that only rises has a label that a client chooses.",
            "short",
            alerts=("SeriesNearLimit", "SeriesOverflow"),
        ),
        Query(otherwise(f"max by (family) (kairo_series{{{ENVIRONMENT}}})", family="none"), "{{family}}"),
    ),
    graph(
        Say(
            66,
            "Scrape time",
            "Seconds that the page took to make, and until Prometheus had it. SlowScrape warns at 5.",
            "s",
            lines=(2, 5),
            alerts=("SlowScrape", "MetricsDown"),
        ),
        Query(otherwise(f"max(kairo_scrape_duration_seconds{{{ENVIRONMENT}}})", "NaN"), "made"),
        Query(otherwise(f"max(scrape_duration_seconds{{{ENVIRONMENT}}})", "NaN"), "scraped"),
    ),
    graph(
        Say(
            67,
            "Clock skew",
            "Seconds by which the clock of Redis is ahead of the function's; below 0 it is behind. Good is zero.",
            "s",
            alerts=("ClockSkew",),
        ),
        # One line for each: over all of them, a clock that is behind would hide behind one that is right.
        Query(
            otherwise(
                f"max by (job, environment) (kairo_clock_skew_seconds{{{ENVIRONMENT}}})", "NaN", job="not scraped"
            ),
            "{{job}} {{environment}}",
        ),
    ),
    graph(
        Say(
            68,
            "Pushes and token",
            "How often the metrics were pushed, and the token was read from AWS, by outcome. Most systems do neither.",
            "ops",
            alerts=("PushesFail", "TokenReadsFail"),
        ),
        Query(
            otherwise(by("outcome", f"rate(kairo_pushes_total{{{ENVIRONMENT}}}{WINDOW})"), outcome="never"),
            "push: {{outcome}}",
        ),
        Query(
            otherwise(by("outcome", f"rate(kairo_token_reads_total{{{ENVIRONMENT}}}{WINDOW})"), outcome="never"),
            "token: {{outcome}}",
        ),
    ),
    number(
        Say(
            69,
            "Damaged series",
            "Series that are left out of the page because what stands in Redis can't be read. Good is zero.",
            "short",
            width=6,
            height=6,
            lines=(1, 1),
            alerts=("SeriesDamaged",),
        ),
        Query(otherwise(f"sum(kairo_quarantined_fields{{{ENVIRONMENT}}})"), "damaged"),
    ),
    number(
        Say(
            70,
            "Lost in this time",
            "Increments that could not be delivered within the time that is shown. Good is zero.",
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
        Say(
            71,
            "Redis",
            "Which Redis holds the state, and what it does when its memory is full: anything but noeviction lets "
            "counters go down.",
            "short",
            width=12,
            height=6,
            alerts=("StoreMemoryNearLimit",),
        ),
        {
            "Targets": (
                Query(
                    otherwise(
                        f"count by (job, environment, version, eviction_policy) (kairo_store_info{{{ENVIRONMENT}}})",
                        version="not scraped",
                    ),
                    "",
                ),
                "short",
            )
        },
        {"job": "Job", "environment": "Environment", "version": "Version", "eviction_policy": "When full"},
    ),
)
