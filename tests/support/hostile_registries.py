"""Random registries with every name that a format may refuse or print like another one, and stores that hold them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from lib.kairo_metrics.model.encoding import exemplar_word, info_word, label_text, pack_line
from lib.kairo_metrics.model.schema import INSTANCE_LABEL, Schema
from lib.kairo_metrics.model.schema_validation import flaw_of
from lib.kairo_metrics.model.snapshot import IndexEntry, Snapshot
from lib.kairo_metrics.store.store_interface import Store

__all__ = ["NOW_MS", "REGISTRIES", "Registry", "store_of"]

NOW_MS = 1_764_000_000_000
_LONG_AGO_MS = NOW_MS - 3_600_000
_SECONDS = "seconds"

# Each differs from another one by a suffix, by a character that is escaped, or is the name of something of ours.
_NAMES = [
    *("jobs", "jobs_total", "jobs_created", "jobs_count", "jobs_bucket", "jobs_sum", "jobs_info", "jobs_created_total"),
    *("k.x", "k_x", "k-x", "k:x", "k.x.total", "k_x_total", "k.x_seconds", "k_x_seconds", "k.x.seconds", "K.X"),
    *(
        "größe",
        "1st",
        "_1st",
        'a "b"',
        "a\\b",
        "a\nb",
        "..",
        "__",
        "_",
        "le",
        "quantile",
        "__name__",
        "\x1b[0m",
        "\u2028",
    ),
    *("kairo_series", "kairo.series", "kairo_joined_series", "kairo_batches", "U__jobs", "jobs__total", "a" * 300),
]
_LABELS = [
    *("a.b", "a_b", "a-b", "a:b", "a b", "le", "l.e", "quantile", "__name__", "..name..", "__x__", "exported_a_b"),
    *(
        "job",
        "instance",
        "exported_job",
        "exported.job",
        "k.x",
        "k_x",
        "k:x",
        "ü",
        "\n",
        'q"',
        "\\",
        "1",
        "_",
        "tenant",
    ),
]
_VALUES = ["", "", "x", "y", 'q"\n\\', "a,b", '",', "}", "é\u2028", "\x1b\r\x00", " ", "__overflow__", "x" * 200]
_HELPS = ["Help.", "", " ", "two\nlines", 'q"uoted" \\', "\r\x1b\x00", "# EOF", "ü\u2028", "\ud800", "\\n", "%d %s"]
_MODES = ["sum", "livesum", "min", "livemax", "mostrecent", "livemostrecent", "all", "liveall"]
_NUMBERS = st.sampled_from([0, 1, 2, 3, 7.5, 1e300, 123456789.125])
_BOUNDS = st.sampled_from([("1.0", "2.0", "+Inf"), ("1.5", "+Inf"), ("+Inf",), ("-1.0", "1.0", "+Inf")])
# Without quotes in values: prometheus_client's parser refuses them in exemplars, and Prometheus' does not.
_EXEMPLARS = [
    *({}, {"trace_id": "4bf9"}, {"trace.id": "4bf9", "trace_id": "7"}, {"..name..": "x"}, {"a-b": "", "a_b": ""}),
    *({"x." * 30: "y" * 60}, {"le": "1"}, {"t": "x" * 127}, {"t": "x" * 128}, {"größe": "q\n"}),
]


@dataclass(frozen=True, slots=True)
class Registry:
    """What a store holds.

    Args:
        rows: by schema, label text -> the words of the line.
        exemplars: by schema, the field of the exemplar -> its word.
        announced_ms: by schema, when instances announced it last.
    """

    rows: Mapping[Schema, Mapping[str, Sequence[float | str]]]
    exemplars: Mapping[Schema, Mapping[str, str]]
    announced_ms: Mapping[Schema, int]


@st.composite
def _schemas(draw: st.DrawFn) -> Schema | None:
    name, typ = draw(st.sampled_from(_NAMES)), draw(st.sampled_from(sorted(_DRAWN)))
    labels = set(draw(st.lists(st.sampled_from(_LABELS), max_size=3)))
    mode = draw(st.sampled_from(_MODES)) if typ == "gauge" else ""
    schema = Schema(
        name,
        typ,
        tuple(sorted(labels)),
        draw(_BOUNDS) if typ in {"histogram", "native"} else (),
        mode,
        tuple(draw(st.sampled_from([("up", "down"), ("down", "up"), ("",), ("a", "b", "c")])))
        if typ == "stateset"
        else (),
        help=draw(st.sampled_from(_HELPS)),
        unit=_unit_of(name) if draw(st.booleans()) else "",
    )
    if schema.per_instance:
        schema = schema.changed(labelnames=tuple(sorted({*labels, INSTANCE_LABEL})))
    return None if flaw_of(schema) else schema


def _unit_of(name: str) -> str:
    return name.partition("_")[2]


def _histogram(draw: st.DrawFn, schema: Schema) -> list[float | str]:
    return [
        draw(_NUMBERS),
        *draw(st.lists(st.integers(0, 9), min_size=len(schema.bounds), max_size=len(schema.bounds))),
    ]


def _gauge(draw: st.DrawFn, schema: Schema) -> list[float | str]:
    if schema.rule == "sum":
        return [draw(_NUMBERS), *draw(st.lists(st.integers(-1, 1), min_size=3, max_size=3))]
    return [
        draw(st.sampled_from([1, -2.5, float("inf"), float("-inf"), float("nan")])),
        NOW_MS - draw(st.integers(0, 9)),
    ]


def _info(draw: st.DrawFn, _: Schema) -> list[float | str]:
    names = draw(st.lists(st.sampled_from(_LABELS), max_size=3, unique=True))
    return [info_word({name: draw(st.sampled_from(_VALUES)) for name in names}), NOW_MS]


def _native(draw: st.DrawFn, _: Schema) -> list[float | str]:
    return draw(
        st.sampled_from([["4", "1", "0", "1", "0.001", "4:1", "-"], ["-2", "3", "1", "0", "0.001", "2:1", "-1:1"]])
    )


_DRAWN: dict[str, Any] = {
    "counter": lambda draw, _: [draw(_NUMBERS)],
    "gauge": _gauge,
    "histogram": _histogram,
    "info": _info,
    "native": _native,
    "stateset": lambda draw, schema: [draw(st.integers(0, len(schema.states) - 1)), NOW_MS],
    "summary": lambda draw, _: [draw(st.integers(0, 9)), draw(st.sampled_from([0.25, -3, float("nan")]))],
}


@st.composite
def _registries(draw: st.DrawFn) -> Registry:
    rows: dict[Schema, dict[str, Sequence[float | str]]] = {}
    exemplars: dict[Schema, dict[str, str]] = {}
    announced: dict[Schema, int] = {}
    for schema in filter(None, draw(st.lists(_schemas(), min_size=1, max_size=6))):
        found: dict[str, Sequence[float | str]] = {}
        for _ in range(draw(st.integers(1, 3))):
            values = [draw(st.sampled_from(_VALUES)) for _ in schema.labelnames]
            found[label_text(schema.labelnames, values)] = _DRAWN[schema.type](draw, schema)
        rows[schema] = found
        announced[schema] = draw(st.sampled_from([NOW_MS, NOW_MS, _LONG_AGO_MS]))
        if schema.type in {"counter", "histogram"}:
            exemplar = draw(st.sampled_from(_EXEMPLARS))
            place = 1 if schema.type == "counter" else 2
            exemplars[schema.exemplars] = {f"{place} {text}": exemplar_word(exemplar, 0.5) for text in found}
    return Registry(rows, exemplars, announced)


REGISTRIES = _registries()


class _FixedStore:
    """A store that only answers a scrape."""

    def __init__(self, registry: Registry) -> None:
        self._lines: dict[Schema, list[bytes]] = {}
        for schema, found in registry.rows.items():
            self._lines[schema] = [
                part for text, words in found.items() for part in (text.encode(), pack_line(words, NOW_MS - 9, NOW_MS))
            ]
        for schema, fields in registry.exemplars.items():
            self._lines[schema] = [
                part
                for text, word in fields.items()
                for part in (text.encode(), pack_line([word, str(NOW_MS)], NOW_MS, NOW_MS))
            ]
        self._snapshot = Snapshot(
            NOW_MS,
            tuple(
                IndexEntry(0, schema, NOW_MS - place, registry.announced_ms.get(schema, NOW_MS))
                for place, schema in enumerate(self._lines)
            ),
        )

    async def snapshot(self) -> Snapshot:
        return self._snapshot

    async def scan(self, entries: Sequence[IndexEntry]) -> AsyncIterator[tuple[IndexEntry, list[bytes] | None]]:
        for entry in entries:
            yield entry, self._lines[entry.schema]


def store_of(registry: Registry) -> Store:
    """Return a store that holds a registry. A scrape needs no more of it than the index and the lines."""
    return _FixedStore(registry)  # type: ignore[return-value]
