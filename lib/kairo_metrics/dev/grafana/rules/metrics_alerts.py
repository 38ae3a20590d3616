"""The alerts about the metrics themselves: whether they arrive, and whether Redis keeps them."""

from __future__ import annotations

from .alert import Alert

__all__ = ["ALERTS"]

ALERTS = (
    Alert(
        "MetricsDown",
        'up{job=~"@{job}"} == 0',
        "The metrics page can't be scraped",
        "{{ $labels.instance }} of @system has not answered a scrape for 5 minutes; until it does, no other alert can "
        "fire.",
        wait="5m",
        is_critical=True,
    ),
    Alert(
        "MetricsAbsent",
        'absent(up{job=~"@{job}"} or kairo_scrape_duration_seconds{job=~"@{job}"})',
        "No metrics come in",
        "Prometheus has no target whose job matches @{jobs}, and nothing is pushed to it either; no other alert can "
        "fire.",
        wait="10m",
        is_critical=True,
    ),
    Alert(
        "MetricsVanished",
        """
        sum by (job, environment) (increase(http_requests_total{job=~"@{job}"}[1h])) > 0
          and on (job, environment) max by (job, environment) (up{job=~"@{job}"}) == 1
          unless on (job, environment) http_requests_total{job=~"@{job}"}
        """,
        "The page answers and has lost its series",
        "@system had requests within the last hour, and now its page has not one series of them.",
        wait="10m",
        about="requests",
        comment="There were requests within the hour, but the page has none of their series any more. A system that "
        "is only quiet keeps its series for a week.",
    ),
    Alert(
        "SamplesLost",
        'sum by (job, environment, family) (increase(kairo_samples_lost_total{job=~"@{job}"}[15m])) > 0',
        "Increments were lost",
        "About {{ $value | humanize }} increments of {{ $labels.family }} of @system could not be delivered within the "
        "last 15 minutes; its numbers are too low by that much.",
    ),
    Alert(
        "StoreWentBack",
        'sum by (job, environment) (increase(kairo_batches_total{job=~"@{job}",outcome="replayed"}[15m])) > 0',
        "Redis has lost what it had acknowledged",
        "Instances of @system had to send about {{ $value | humanize }} batches again within the last 15 minutes: "
        "Redis was restarted, restored or failed over without them.",
    ),
    Alert(
        "RepliesLost",
        """
        sum by (job, environment) (rate(kairo_batches_total{job=~"@{job}",outcome="duplicate"}[15m]))
          / (sum by (job, environment) (rate(kairo_batches_total{job=~"@{job}",outcome="applied"}[15m])) > 0)
          > @{reply_share}
        """,
        "Redis' replies get lost",
        "{{ $value | humanizePercentage }} of the batches of @system are sent again because the reply to the first "
        "time was lost or late. They count once, and keep instances awake for longer.",
        wait="15m",
    ),
    Alert(
        "SeriesOverflow",
        'sum by (job, environment, family) (increase(kairo_samples_overflowed_total{job=~"@{job}"}[15m])) > 0',
        "A metric has too many series",
        "{{ $labels.family }} of @system is full: new label sets are counted under __overflow__.",
    ),
    Alert(
        "SeriesNearLimit",
        """
        kairo_series{job=~"@{job}"}
          / on (job, environment, instance) group_left () kairo_max_series{job=~"@{job}"}
          > @{series_share}
        """,
        "A metric will soon have too many series",
        "{{ $labels.family }} of @system has {{ $value | humanizePercentage }} of the series that it may have.",
        wait="15m",
    ),
    Alert(
        "StoreMemoryNearLimit",
        """
        kairo_store_memory_bytes{job=~"@{job}"}
          / (kairo_store_max_memory_bytes{job=~"@{job}"} > 0)
          > @{memory_share}
        """,
        "Redis is nearly full",
        "The Redis of @system uses {{ $value | humanizePercentage }} of its memory. Once it is full, it refuses "
        "batches or evicts series.",
        wait="10m",
        comment="A Redis without a limit reports 0; if it hides its memory, there is no series.",
    ),
    Alert(
        "ClockSkew",
        'abs(kairo_clock_skew_seconds{job=~"@{job}"}) > @{clock_skew_s}',
        "Redis' clock is wrong, or the functions' is",
        "The clocks of Redis and of the function that serves the page of @system are {{ $value | humanizeDuration }} "
        "apart.",
        wait="10m",
    ),
    Alert(
        "SeriesDamaged",
        'sum by (job, environment, family) (kairo_quarantined_fields{job=~"@{job}"}) > 0',
        "Series in Redis are damaged",
        "{{ $value | humanize }} series of {{ with $labels.family }}{{ . }}{{ else }}an unknown metric{{ end }} of "
        "@system are left out of the page, because what stands in Redis can't be read.",
        wait="5m",
    ),
    Alert(
        "SlowScrape",
        'kairo_scrape_duration_seconds{job=~"@{job}"} > @{scrape_s}',
        "A scrape takes long",
        "The page of @system takes {{ $value | humanizeDuration }}; a scrape that takes 10 seconds fails.",
        wait="15m",
        comment="Half of the scrape_timeout of 10 s in the scrape configs of the guides.",
    ),
    Alert(
        "PushesFail",
        """
        sum by (job, environment, outcome) (
          increase(kairo_pushes_total{job=~"@{job}",outcome!="done"}[15m])
        ) > 0
        """,
        "Metrics can't be pushed",
        'Pushes of the metrics of @system end with "{{ $labels.outcome }}". What a push does not bring, the next one '
        "does; in between, graphs have gaps.",
        wait="15m",
        about="push",
    ),
    Alert(
        "TokenReadsFail",
        """
        sum by (job, environment, outcome) (
          increase(kairo_token_reads_total{job=~"@{job}",outcome!="done"}[15m])
        ) > 0
        """,
        "The token can't be read from AWS",
        'Reads of the token of @system end with "{{ $labels.outcome }}". Instances go on with the token that they '
        "know; new ones answer no scrape.",
        wait="15m",
        about="push",
    ),
)
