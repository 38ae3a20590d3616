"""`series`: how many series there are, and which are written."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass

from ...config.settings import Settings
from ...model.labels import labels_of
from ...store.redis_store import RedisStore
from ..arguments import count
from ..cardinality.ranking import rank_families, rank_labels, rank_series
from ..cardinality.stored_series import StoredNamespace, read_namespace
from ..formatting import duration, finite, short
from ..store_access import join_dev_server, read_store, unknown_metric
from ..table import print_table
from ..terminal import Progress, Terminal

__all__ = ["add_series"]

_WINDOW_S = 300
_WRITTEN = f"written: label sets that a flush has written in the last {_WINDOW_S // 60} minutes."
_COUNTED = "counted: observations of a histogram or summary; the value of a counter. A gauge has neither."


def add_series(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    series = commands.add_parser(
        "series",
        help="show which families, labels and label sets have most series, and which are written",
        description="Show what the namespace holds: families by their number of series, or one family's label sets.",
        epilog=f"{_WRITTEN} {_COUNTED}",
    )
    series.add_argument("--family", metavar="NAME", help="only this family: its label sets, one by one")
    series.add_argument(
        "--by",
        choices=("series", "writes", "label"),
        default="series",
        help="series: most series first (with --family: the newest first); writes: most written first; "
        "label: the labels with most different values",
    )
    series.add_argument("--top", type=count, default=20, metavar="N", help="lines to show (default: 20)")
    series.add_argument("--json", action="store_true", help="print JSON")
    series.set_defaults(run=_series)


@dataclass(frozen=True, slots=True)
class _View:
    """A table, for people and for programs.

    Args:
        about: what a row is: its name in the singular and in the plural.
        columns: the headings.
        rows: the rows below them.
        entries: the same as JSON.
    """

    about: tuple[str, str]
    columns: tuple[str, ...]
    rows: list[tuple[object, ...]]
    entries: list[dict[str, object]]


def _series(options: argparse.Namespace) -> int:
    join_dev_server()
    terminal = Terminal()

    async def read(store: RedisStore, settings: Settings) -> tuple[StoredNamespace, Settings]:
        names = [options.family] if options.family else []
        with Progress(terminal, "series read") as progress:
            stored = await read_namespace(store, names, progress.at)
        if names and not stored.families:
            schemas = [entry.schema for entry in stored.snapshot.entries]
            raise unknown_metric(options.family, schemas, settings.namespace)
        return stored, settings

    stored, settings = read_store(read)
    if options.by == "label":
        view = _labels(stored)
    elif options.family:
        view = _label_sets(stored, newest_first=options.by == "series")
    else:
        view = _families(stored, settings.max_series, written_first=options.by == "writes")
    if options.json:
        entries = {view.about[1].replace(" ", "_"): view.entries[: options.top]}
        terminal.write_line(
            json.dumps({"namespace": settings.namespace, "total": len(view.entries), **entries}, indent=2)
        )
    elif not view.rows:
        terminal.write_line(f"nothing is stored under the namespace {settings.namespace!r}")
    else:
        print_table(terminal, view.columns, view.rows[: options.top])
        shown = f"{options.top} of " if options.top < len(view.rows) else ""
        terminal.write_line()
        total = f"{shown}{len(view.rows)} {view.about[len(view.rows) > 1]} in the namespace {settings.namespace}"
        terminal.write_line(terminal.style(total, "dim"))
    return 0


def _families(stored: StoredNamespace, max_series: int, *, written_first: bool) -> _View:
    # Some families are announced and have no series: counters of events that have not happened.
    ranks = [rank for rank in rank_families(stored, _WINDOW_S * 1000) if rank.series]
    if written_first:
        ranks.sort(key=lambda rank: (-rank.written, -(rank.counted or 0.0)))
    rows: list[tuple[object, ...]] = []
    entries: list[dict[str, object]] = []
    for rank in ranks:
        share = rank.fullest / max_series
        last = _ago(stored, rank.touched_ms)
        rows.append((rank.name, rank.type, rank.series, f"{share:.1%}", rank.written, _shown(rank.counted), last))
        entries.append(
            {
                "family": rank.name,
                "type": rank.type,
                "series": rank.series,
                "share_of_cap": share,
                "written": rank.written,
                "counted": _json_number(rank.counted),
                "last_written_ms": rank.touched_ms,
            }
        )
    columns = ("family", "type", "series", "of the cap", "written", "counted", "last written")
    return _View(("family", "families"), columns, rows, entries)


def _label_sets(stored: StoredNamespace, *, newest_first: bool) -> _View:
    ranks = rank_series(stored)
    if newest_first:
        ranks.sort(key=lambda rank: -rank.created_ms)
    rows: list[tuple[object, ...]] = [
        (
            f"{{{rank.text}}}" if rank.text else "(no labels)",
            _shown(rank.counted),
            _ago(stored, rank.created_ms),
            _ago(stored, rank.touched_ms),
        )
        for rank in ranks
    ]
    entries: list[dict[str, object]] = [
        {
            "labels": labels_of(rank.text),
            "counted": _json_number(rank.counted),
            "first_written_ms": rank.created_ms,
            "last_written_ms": rank.touched_ms,
        }
        for rank in ranks
    ]
    return _View(("label set", "label sets"), ("label set", "counted", "first written", "last written"), rows, entries)


def _labels(stored: StoredNamespace) -> _View:
    ranks = rank_labels(stored)
    return _View(
        ("label", "labels"),
        ("family", "label", "values", "most frequent value", "series with it"),
        [(rank.family, rank.label, rank.values, rank.top_value, rank.top_series) for rank in ranks],
        [asdict(rank) for rank in ranks],
    )


def _ago(stored: StoredNamespace, then_ms: int) -> str:
    return f"{duration((stored.snapshot.now_ms - then_ms) / 1000)} ago"


def _shown(counted: float | None) -> str:
    return "-" if counted is None else short(counted)


def _json_number(counted: float | None) -> float | str | None:
    return None if counted is None else finite(counted)
