"""One metric of every kind in a new process: `python -m tests.support.every_kind` uses each once and ends."""

from __future__ import annotations

from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary

from lib.kairo_metrics import NativeHistogram, flush, install

__all__ = ["NAMES"]

MODES = sorted(Gauge._MULTIPROC_MODES)

NAMES = (
    "kind_counter",
    "kind_histogram",
    "kind_native",
    "kind_untouched",
    "kind_summary",
    "kind_info",
    "kind_enum",
    "kind.of.dots",
    "温度",
    *(f"kind_{mode}" for mode in MODES),
)


def _count() -> None:
    Counter("kind_counter", "With an exemplar.\n\x1b[2J", ["路"]).labels("路径").inc(3, {"trace_id": "4bf9"})
    histogram = Histogram("kind_histogram", "With bounds below zero.", buckets=(-10, -5, 0, 5))
    for value in (-20, -7, -6, -1, 3, 9):
        histogram.observe(value, {"trace_id": "4bf9"})
    native = NativeHistogram("kind_native", "With buckets below zero.", ["路"], buckets=(-4, 0, 4)).labels("路径")
    for value in (-6, 0, 3, 3, 5):
        native.observe(value)
    Histogram("kind_untouched", "Announced, and never observed.")
    Summary("kind_summary", "Below zero.").observe(-2.5)
    Info("kind_info", "Words.").info({"version": "1 beta", "branch": "ä"})
    Enum("kind_enum", "States.", states=["up", "down"]).state("down")
    Counter("kind.of.dots", "A name of OpenTelemetry's.").inc()
    Gauge("温度", "A name in Chinese.").set(float("nan"))
    for mode in MODES:
        Gauge(f"kind_{mode}", "A gauge.", multiprocess_mode=mode).set(-2.5)  # type: ignore[arg-type]


if __name__ == "__main__":
    install()
    _count()
    flush()
