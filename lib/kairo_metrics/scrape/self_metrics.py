"""The metrics about the page itself, the store and the deliveries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..exposition.family import Family
from ..model.delivery_metrics import BATCHES, LOST, OUTCOMES, OVERFLOWED, RESTORED
from ..model.encoding import SeriesNumbers, label_text, number_text
from ..model.schema import Schema
from ..model.snapshot import Snapshot

__all__ = ["ABOUT_ALL", "OWN_NAMES", "duration", "own_families", "zeros"]

_SERIES = Schema("kairo_series", "gauge", ("family",), help="Series of a family on this page.")
_QUARANTINED = Schema(
    "kairo_quarantined_fields",
    "gauge",
    ("family",),
    help="Series left out because what is stored of them is damaged or clashes; no family where its name is lost.",
)
_CLASHING = Schema(
    "kairo_clashing_schemas",
    "gauge",
    ("family",),
    help="Other types, or other ways to merge a gauge, under which instances write a family; they are left out.",
)
_STORE = Schema(
    "kairo_store_info", "gauge", ("eviction_policy", "version"), help="The server that holds the state; always 1."
)
_MEASURES = {
    "clock_skew_s": Schema(
        "kairo_clock_skew_seconds",
        "gauge",
        help="Seconds that the store's clock is ahead (below 0: behind) of the clock of whoever served this page.",
    ),
    "max_memory_bytes": Schema(
        "kairo_store_max_memory_bytes", "gauge", help="Bytes of memory that the store may use; 0 where it has no limit."
    ),
    "max_series": Schema(
        "kairo_max_series", "gauge", help="Series that a family may have in each shard before it overflows."
    ),
    "memory_bytes": Schema("kairo_store_memory_bytes", "gauge", help="Bytes of memory that the store uses."),
}
_MISSING = Schema(
    "kairo_missing_batches",
    "gauge",
    help="Batches that the store lost when it went back in time last, and nobody has sent again or written back.",
)
_DURATION = Schema("kairo_scrape_duration_seconds", "gauge", help="Seconds from this scrape's start to its first byte.")

# A scrape that asks for one of these needs every family.
ABOUT_ALL = frozenset({_SERIES.name, _QUARANTINED.name, _CLASHING.name})
OWN_NAMES = frozenset(
    schema.name for schema in (_SERIES, _QUARANTINED, _CLASHING, _STORE, _MISSING, _DURATION, *_MEASURES.values())
)


def duration(seconds: float) -> Family:
    """Return the family with the seconds that the scrape took."""
    return Family(_DURATION, {b"": f"{seconds:.6f}".encode()})


def zeros(snapshot: Snapshot) -> Iterator[tuple[Schema, SeriesNumbers]]:
    """Return series at zero for events that have not happened yet: `increase` misses the first value of a new series.

    Source: https://prometheus.io/docs/practices/instrumentation/#avoid-missing-metrics
    """
    families = sorted({entry.schema.name for entry in snapshot.entries})
    for schema, values in ((BATCHES, OUTCOMES), (LOST, families), (OVERFLOWED, families), (RESTORED, families)):
        yield schema, {_text(schema, value): b"0" for value in values}


def own_families(
    snapshot: Snapshot, served: list[Family], damaged: Mapping[str, int], clashing: Mapping[str, int]
) -> list[Family]:
    """Return the families about the page, the store and what is missing."""
    families = [
        Family(_SERIES, {_text(_SERIES, family.schema.name): b"%d" % len(family.series) for family in served}),
        Family(_CLASHING, {_text(_CLASHING, name): b"%d" % count for name, count in clashing.items()}),
        Family(_QUARANTINED, {_text(_QUARANTINED, name): b"%d" % count for name, count in damaged.items()}),
    ]
    missing = sum(max(0, recovery.missing) for recovery in snapshot.recoveries if recovery)
    families.append(Family(_MISSING, {b"": b"%d" % missing}))
    if snapshot.facts:
        facts = [snapshot.facts[name] for name in _STORE.labelnames]
        families.append(Family(_STORE, {label_text(_STORE.labelnames, facts).encode(): b"1"}))
    families += [
        Family(_MEASURES[name], {b"": number_text(number).encode()}) for name, number in snapshot.measures.items()
    ]
    return [family for family in families if family.series]


def _text(schema: Schema, value: str) -> bytes:
    return label_text(schema.labelnames, [value]).encode()
