"""`show METRIC`: the values of one metric as a scrape has them now, as a table; a histogram also as a picture."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from ...config.settings import Settings
from ...exposition.classic import as_classic
from ...exposition.escaping import UNDERSCORES
from ...exposition.family import Family
from ...exposition.names import answers_to, found_by, printed_label
from ...model.labels import labels_of
from ...model.merging import merge_series
from ...scrape.clashes import sentence
from ...scrape.collector import Limits, collect
from ...store.redis_store import RedisStore
from ..arguments import count
from ..formatting import finite, short
from ..histogram_figures import SHARES, figures_of, mean_text
from ..histogram_picture import picture
from ..store_access import CommandError, join_dev_server, read_store, unknown_metric
from ..table import print_table
from ..terminal import Terminal, printable

__all__ = ["add_show"]

_HISTOGRAMS = frozenset({"histogram", "native"})


def add_show(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    show = commands.add_parser(
        "show",
        help="show one metric's live values; a histogram as a picture, with p50, p95 and p99",
        description="Show the values of one metric as a scrape has them now. Quantiles are estimated as Prometheus "
        "does, over everything that was counted.",
    )
    show.add_argument("metric", metavar="METRIC", help="its name, or that of a sample: http_requests_total")
    show.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        type=_label,
        help="only series with this label; may be repeated",
    )
    show.add_argument("--limit", type=count, default=50, metavar="N", help="series to show (default: 50)")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=_show)


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, not {text!r}")
    return name, value


def _show(options: argparse.Namespace) -> int:
    join_dev_server()
    terminal = Terminal()

    async def read(store: RedisStore, settings: Settings) -> Family:
        names = frozenset({options.metric})
        scrape = await collect(store, Limits(settings.series_ttl_s, settings.instance_lease_s), names)
        families = scrape.page.named(names).families
        left_out = [clash for clash in scrape.clashes if clash.is_left_out and answers_to(clash.family.schema, names)]
        if left_out and not families:
            clash = left_out[0]
            why = sentence(clash.family.schema.name, clash.other, clash.reason)
            raise CommandError(f"it is left out of the page: {why}; rename one of the two")
        if not families:
            snapshot = await store.snapshot()
            raise unknown_metric(options.metric, [entry.schema for entry in snapshot.entries], settings.namespace)
        [first, *_] = found_by(options.metric, [family.schema for family in families])
        return next(family for family in families if family.schema == first)

    family = read_store(read)
    rows = {
        text: numbers
        for text, numbers in sorted(family.series.items())
        if dict(options.label).items() <= _labels_as_seen(text).items()
    }
    if not rows:
        wanted = ", ".join(f'{name}="{value}"' for name, value in options.label)
        labels = ", ".join(family.schema.labelnames) or "none"
        raise CommandError(f"{family.schema.name} has no series with {wanted}; its labels are {labels}")
    if options.json:
        terminal.write_line(json.dumps(_as_json(family, rows, options.limit), indent=2))
        return 0
    _print(terminal, family, rows, options.limit)
    if len(rows) > options.limit:
        terminal.write_line()
        left_out = f"{options.limit} of {len(rows)} series; --limit {len(rows)} shows all, --label NAME=VALUE chooses"
        terminal.write_line(terminal.style(left_out, "dim"))
    return 0


def _labels_as_seen(text: bytes) -> dict[str, str]:
    """Return the labels under their declared names, and under those that the text format prints."""
    labels = labels_of(text.decode())
    return {printed_label(name, UNDERSCORES): value for name, value in labels.items()} | labels


def _print(terminal: Terminal, family: Family, rows: Mapping[bytes, bytes], limit: int) -> None:
    schema = family.schema
    kind = "native histogram" if schema.type == "native" else schema.type
    terminal.write_line(f"{terminal.style(printable(schema.name), 'bold')} ({kind})  {printable(schema.help)}")
    terminal.write_line()
    if schema.type in _HISTOGRAMS:
        _print_histogram(terminal, family, rows, limit)
    elif schema.type == "summary":
        figures = [(_set(text), *_summary(numbers)) for text, numbers in _first(rows, limit)]
        table = [(labels, count, mean_text(total, count)) for labels, count, total in figures]
        print_table(terminal, ("label set", "count", "mean"), table)
    else:
        values = [(_set(text), short(float(numbers))) for text, numbers in _first(rows, limit)]
        print_table(terminal, ("label set", "value"), values)


def _print_histogram(terminal: Terminal, family: Family, rows: Mapping[bytes, bytes], limit: int) -> None:
    """Print the figures of the first series, and those of all with a picture under the classic bounds."""
    schema = family.schema
    total = merge_series(schema, [{b"": numbers} for numbers in rows.values()])
    table = [(_set(text), *figures_of(schema, numbers).cells()) for text, numbers in _first(rows, limit)]
    if len(rows) > 1:
        table.append(("all of it", *figures_of(schema, total[b""]).cells()))
    print_table(terminal, ("label set", "count", "mean", *SHARES), table)
    terminal.write_line()
    _, *counts = as_classic(Family(schema, total)).series[b""].split()
    for line in picture(terminal, schema.bounds, [int(number) for number in counts], SHARES):
        terminal.write_line(line)


def _first(rows: Mapping[bytes, bytes], limit: int) -> Iterator[tuple[bytes, bytes]]:
    return islice(rows.items(), limit)


def _set(text: bytes) -> str:
    return f"{{{text.decode()}}}" if text else "(no labels)"


def _as_json(family: Family, rows: Mapping[bytes, bytes], limit: int) -> dict[str, Any]:
    schema = family.schema
    shown = _first(rows, limit)
    series = [{"labels": labels_of(text.decode()), **_value_of(family, numbers)} for text, numbers in shown]
    return {"name": schema.name, "type": schema.type, "help": schema.help, "total": len(rows), "series": series}


def _value_of(family: Family, numbers: bytes) -> dict[str, Any]:
    if family.schema.type in _HISTOGRAMS:
        return figures_of(family.schema, numbers).as_json()
    if family.schema.type == "summary":
        count, total = _summary(numbers)
        return {"count": count, "sum": finite(total)}
    return {"value": finite(float(numbers))}


def _summary(numbers: bytes) -> tuple[int, float]:
    count, total = numbers.split()
    return int(count), float(total)
