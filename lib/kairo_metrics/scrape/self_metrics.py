"""The metrics about the page itself, the store and the deliveries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from ..exposition.family import Family
from ..exposition.fitting import JOINED
from ..model.delivery_metrics import BATCHES, LOST, OUTCOMES, OVERFLOWED, RESTORED
from ..model.encoding import SeriesNumbers, label_text, number_text
from ..model.schema import Schema
from ..model.snapshot import Snapshot

__all__ = ["ABOUT_ALL", "CLASHING", "OWN_NAMES", "PROBLEMS", "SCHEMAS", "SERIES", "duration", "own_families", "zeros"]

SERIES = Schema("kairo_series", "gauge", ("family",), help="Series of a family on this page.")
_QUARANTINED = Schema(
    "kairo_quarantined_fields",
    "gauge",
    ("family",),
    help="Series left out because what is stored of them is damaged; no family where its name is lost.",
)
CLASHING = Schema(
    "kairo_clashing_schemas",
    "gauge",
    ("family", "other", "reason"),
    help="Families left out, at least in OpenMetrics, because another one has their name, or a name of their samples.",
)
PROBLEMS = Schema(
    "kairo_collector_problems",
    "gauge",
    ("collector", "reason"),
    help="Samples of collectors that this page leaves out, or shows without their time or exemplar; 1 if one failed.",
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

_COUNTS = (SERIES, _QUARANTINED, CLASHING, JOINED)
SCHEMAS = (*_COUNTS, PROBLEMS, _MISSING, _DURATION, *_MEASURES.values(), _STORE)
# A scrape that asks for one of these needs every family.
ABOUT_ALL = frozenset(schema.name for schema in _COUNTS)
OWN_NAMES = frozenset(schema.name for schema in SCHEMAS)


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
    snapshot: Snapshot,
    served: Iterable[Family],
    damaged: Mapping[str, int],
    clashing: Mapping[tuple[str, str, str], int],
) -> list[Family]:
    """Return the families about the page, the store and what is missing.

    Args:
        snapshot: facts about the server.
        served: the families of the page.
        damaged: by family, how many of its series are damaged.
        clashing: how many families are left out, by their name, the name of the one that is shown, and the reason.
    """
    series: Counter[bytes] = Counter()
    for family in served:
        series[_text(SERIES, family.schema.name)] += len(family.series)
    left_out = {label_text(CLASHING.labelnames, values).encode(): count for values, count in clashing.items()}
    quarantined = {_text(_QUARANTINED, name): count for name, count in damaged.items()}
    counted = ((SERIES, series), (CLASHING, left_out), (_QUARANTINED, quarantined))
    families = [Family(schema, {text: b"%d" % count for text, count in counts.items()}) for schema, counts in counted]
    missing = sum(max(0, recovery.missing) for recovery in snapshot.recoveries if recovery)
    families.append(Family(_MISSING, {b"": b"%d" % missing}))
    if snapshot.facts:
        facts = [snapshot.facts[name] for name in _STORE.labelnames]
        families.append(Family(_STORE, {label_text(_STORE.labelnames, facts).encode(): b"1"}))
    families += [
        Family(_MEASURES[name], {b"": number_text(number).encode()}) for name, number in snapshot.measures.items()
    ]
    return [family for family in families if family.series]


@lru_cache(maxsize=4096)
def _text(schema: Schema, value: str) -> bytes:
    return label_text(schema.labelnames, [value]).encode()
