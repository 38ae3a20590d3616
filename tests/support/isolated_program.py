"""A user's module: instruments that are made when it is imported, some of them used at once."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary

from lib.kairo_metrics import (
    NativeHistogram,
    measured,
)

__all__ = [
    "BUILD",
    "FOLLOWED",
    "LAZY",
    "MODES",
    "OWN",
    "QUEUE",
    "ROOMS",
    "SIZE",
    "SOLD",
    "SOLD_MAPS",
    "STARTS",
    "STATE",
    "UPLOAD",
    "WAIT",
    "nightly",
    "use_everything",
]

OWN = CollectorRegistry()
SOLD = Counter("iso_sold_total", "Sold.", ["kind"], registry=OWN)
SOLD_MAPS = SOLD.labels("map")
STARTS = Counter("iso_starts_total", "Starts.", registry=OWN)
STARTS.inc(5)
WAIT = Histogram("iso_wait_seconds", "Seconds.", ["to"], registry=OWN)
SIZE = Summary("iso_size_bytes", "Bytes.", registry=OWN)
UPLOAD = NativeHistogram("iso_upload_bytes", "Bytes.", registry=OWN)
MODES: list[Any] = [
    "all",
    "liveall",
    "min",
    "livemin",
    "max",
    "livemax",
    "sum",
    "livesum",
    "mostrecent",
    "livemostrecent",
]
ROOMS: dict[str, Any] = {mode: Gauge(f"iso_{mode}", "x", registry=OWN, multiprocess_mode=mode) for mode in MODES}
for _room in ROOMS.values():
    _room.set(3)
QUEUE: list[int] = []
FOLLOWED = Gauge("iso_queue", "Jobs.", registry=OWN)
FOLLOWED.set_function(lambda: len(QUEUE))
BUILD = Info("iso_build", "Build.", registry=OWN)
BUILD.info({"version": "7"})
STATE = Enum("iso_state", "State.", states=["open", "shut"], registry=OWN)
LAZY: dict[str, Any] = {}


@measured
def nightly() -> None:
    SOLD.labels("nightly").inc()


def use_everything() -> None:
    """Count with each instrument, as a test does."""
    SOLD.labels("book").inc()
    SOLD_MAPS.inc(2)
    STARTS.inc()
    WAIT.labels("a").observe(1)
    SIZE.observe(10)
    UPLOAD.observe(10)
    for room in ROOMS.values():
        room.set(8)
    QUEUE.append(1)
    BUILD.info({"version": "8"})
    STATE.state("shut")
    nightly()
